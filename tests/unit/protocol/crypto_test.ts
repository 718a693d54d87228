import { deepEqual, equal } from "node:assert/strict";
import { noble } from "../../lab.ts";
import { wasm } from "../../wasm_backend.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** wireguard-go's device/kdf_test.go: key, input and the three outputs. */
const KDF_CASES = [
  [
    "test-key",
    "test-input",
    "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
    "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
    "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
  ],
  [
    "wireguard",
    "wireguard",
    "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
    "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
    "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
  ],
  [
    "",
    "",
    "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
    "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
    "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
  ],
] as const;

/** A chaining key always has 32 bytes; HMAC fills a shorter key with zeros, so these stand for the shorter ones. */
function chainingKey(value: string): Uint8Array {
  const key = new Uint8Array(32);
  key.set(text(value));
  return key;
}

for (const [name, { crypto }] of Object.entries({ noble, wasm })) {
  Deno.test(`kdf() on ${name}: wireguard-go's vectors, one to three outputs, in place`, () => {
    for (const [key, input, ...expected] of KDF_CASES) {
      for (let count = 1; count <= 3; count++) {
        const chain = chainingKey(key);
        const outputs = [chain, new Uint8Array(32), new Uint8Array(32)] as const;
        crypto.kdf(chain, text(input), outputs[0], ...outputs.slice(1, count));
        deepEqual(outputs.slice(0, count).map((bytes) => bytes.toHex()), expected.slice(0, count));
      }
    }
  });

  Deno.test(`hash() on ${name}: the handshake's two initial values (whitepaper §5.4.1)`, () => {
    const [chain, hash] = [new Uint8Array(32), new Uint8Array(32)];
    crypto.hash(chain, text("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
    crypto.hash(hash, chain, text("WireGuard v1 zx2c4 Jason@zx2c4.com"));
    equal(chain.toHex(), "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
    equal(hash.toHex(), "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
  });
}
