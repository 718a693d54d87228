/** Where all routes of the API are. */
export const API = "/api/v1";
