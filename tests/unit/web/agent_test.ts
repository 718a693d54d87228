import { equal } from "node:assert/strict";
import { agentName } from "../../../core/web/page/agent.ts";

const WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)";

Deno.test("agentName() names browsers and systems, and leaves what it does not know", () => {
  for (
    const [userAgent, name] of [
      [`Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} Chrome/140.0.0.0 Safari/537.36`, "Chrome, Linux"],
      [
        `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`,
        "Edge, Windows",
      ],
      [
        `Mozilla/5.0 (Linux; Android 10; K) ${WEBKIT} Chrome/140.0.0.0 Mobile Safari/537.36`,
        "Chrome, Android",
      ],
      ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"],
      [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        "Safari, iPhone",
      ],
      [
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
        "Safari, macOS",
      ],
      ["curl/8.14.1", "curl/8.14.1"],
      ["", ""],
    ] as const
  ) equal(agentName(userAgent), name);
});
