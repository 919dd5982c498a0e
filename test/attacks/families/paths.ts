import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

/** What must be in no answer: of the system's files, of ours, and of the process. */
const SECRETS =
  /root:|"name": "roomcast"|JWT_SECRET|BEGIN [A-Z ]*PRIVATE|ConnectionManager|node_modules/;

function ask(target: string, statuses: readonly number[], method = "GET"): Case {
  return {
    name: `${method} ${shown(target)}`,
    answer: { refused: true, leaked: false },
    run: async (attacked) => {
      const answer = await attacked.request(`${method} ${target}`);
      const seen = answer?.body ?? "";
      return { refused: statuses.includes(answer?.status ?? 400), leaked: SECRETS.test(seen) };
    },
  };
}

const UP = [
  "..",
  "%2e%2e",
  "%2E.",
  ".%2e",
  "..%00",
  "..;",
  "%252e%252e",
  "..%c0%af",
  "%c0%ae%c0%ae",
  "....",
  "..\\",
  "..%5c",
  "．．",
  "%uff0e%uff0e",
];
const FILES = ["etc/passwd", "package.json", "cli/main.js", ".git/config", "proc/self/environ"];
const traversals = UP.flatMap((up) =>
  FILES.flatMap((file) =>
    [`/${up}/${up}/${up}/${file}`, `/assets/${up}/${up}/${file}`].map((path) =>
      ask(Buffer.from(path).toString("latin1"), [400, 404]),
    ),
  ),
);

/** Ways to write what is for operators; none may be answered without the key. */
const OPERATORS = [
  "api/users/alice",
  "api/rooms/a/history",
  "dashboard",
  "metrics",
  "ws/stats",
].flatMap((path) => {
  const [first = "", ...rest] = path;
  return [
    `/${path}`,
    `//${path}`,
    `/./${path}`,
    `/x/../${path}`,
    `/${path}/`,
    `/${path}?`,
    `/${path}?token=x`,
    `/${path}#x`,
    `/${path};x`,
    `/${path}.`,
    `/${path}.html`,
    `/${path}%20`,
    `/${path}%00`,
    `/${path}%2f`,
    `/${path.toUpperCase()}`,
    `/%${first.charCodeAt(0).toString(16)}${rest.join("")}`,
    `/${path.replaceAll("/", "%2f")}`,
    `/${path.replaceAll("/", "\\")}`,
    `/${path.replaceAll("/", "//")}`,
    `/assets/../${path}`,
    `http://localhost/${path}`,
    `http://evil.example/${path}`,
    `/${path}/../${path}`,
  ];
});
const operators = [...new Set(OPERATORS)].flatMap((path) =>
  ["GET", "HEAD"].map((method) => ask(path, [400, 401, 404, 426], method)),
);

const others = [
  "/.env",
  "/.git/HEAD",
  "/server-status",
  "/wp-login.php",
  "/index.php",
  "/~root",
  "/cgi-bin/sh",
  "/actuator",
  "/debug/pprof",
  "/__proto__",
  "/constructor",
  "/toString",
  "/hasOwnProperty",
  "/assets",
  "/assets/",
  "/assets/x.js",
  "/index.html/",
  "/index",
  "*",
  "/%",
  "/%zz",
  "/%e0%a4%a",
  `/${"a/".repeat(2000)}`,
  `/${"%2e".repeat(2000)}`,
];

const methods = ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"].flatMap(
  (method) => ["/", "/health", "/ws", "/health/live"].map((path) => ask(path, [405, 426], method)),
);

export const paths: Family = {
  name: "paths",
  tried:
    "14 ways up the tree of files, encoded once and twice; ways to write the paths of operators that a guard might not know; methods that nothing has; files that others leave lying about",
  answered: "400, 401, 404, 405 or 426, and nothing of any file",
  start: () => Target.start({ tokens: true }),
  cases: [...traversals, ...operators, ...others.map((path) => ask(path, [400, 404])), ...methods],
};
