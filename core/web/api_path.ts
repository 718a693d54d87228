/** The path of all routes of the API. */
export const API = "/api/v1";
