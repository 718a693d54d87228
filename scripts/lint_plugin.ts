/**
 * Reports impure code as a lint error: protocol, configuration and plans get time, randomness and bytes as arguments,
 * and never wait.
 *
 * @module
 */

const PURE = /\/core\/(protocol|config|quick\/plan)\/|\/core\/install\/plan\.ts$/;
/** Global objects; of `crypto` only its own methods, since the protocol calls its primitives by that name. */
const OBJECTS = new Set(["Deno", "Date", "performance", "globalThis"]);
const CRYPTO = new Set(["getRandomValues", "randomUUID", "subtle"]);
const FUNCTIONS = new Set(["setTimeout", "setInterval", "queueMicrotask", "fetch", "Date"]);

const plugin: Deno.lint.Plugin = {
  name: "wgd",
  rules: {
    purity: {
      create(context) {
        if (!PURE.test(context.filename)) return {};
        const report = (node: Deno.lint.Node, what: string) =>
          context.report({
            node,
            message: `${what} has no place in pure code`,
            hint: "Take it as an argument",
          });
        const call = (node: Deno.lint.CallExpression | Deno.lint.NewExpression) => {
          if (node.callee.type === "Identifier" && FUNCTIONS.has(node.callee.name)) {
            report(node, node.callee.name);
          }
        };
        return {
          MemberExpression(node) {
            if (node.object.type !== "Identifier") return;
            const { name } = node.object;
            const ofCrypto = name === "crypto" && node.property.type === "Identifier" &&
              CRYPTO.has(node.property.name);
            if (OBJECTS.has(name) || ofCrypto) report(node, name);
          },
          CallExpression: call,
          NewExpression: call,
          AwaitExpression(node) {
            report(node, "await");
          },
        };
      },
    },
  },
};

export default plugin;
