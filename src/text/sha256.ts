// SHA-256 without waiting: Web Crypto is asynchronous, and would delay each update by a turn of the event
// loop.

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
const PRIMES = firstPrimes(64)
const K = PRIMES.map((prime) => fractionOf(Math.cbrt(prime)))
const INITIAL = PRIMES.slice(0, 8).map((prime) => fractionOf(Math.sqrt(prime)))

/**
 * Hashes a text.
 *
 * @param text The text; its UTF-8 is hashed.
 * @returns 64 hexadecimal digits.
 */
export function sha256(text: string): string {
  const words = paddedWords(new TextEncoder().encode(text))
  let hash: readonly number[] = INITIAL
  for (let at = 0; at < words.length; at += 16) {
    hash = compress(hash, words.slice(at, at + 16))
  }
  return hash.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

/** The message, a bit, zeros, and the length in bits, in blocks of 16 words. */
function paddedWords(bytes: Uint8Array): number[] {
  const words = new Array<number>((((bytes.length + 8) >> 6) + 1) * 16).fill(0)
  ;[...bytes, 0x80].forEach((byte, at) => {
    words[at >> 2] = (words[at >> 2] ?? 0) | (byte << (24 - (at % 4) * 8))
  })
  words[words.length - 1] = bytes.length * 8
  return words
}

function compress(before: readonly number[], block: readonly number[]): readonly number[] {
  const w = [...block]
  for (let t = 16; t < 64; t += 1) {
    const [w2 = 0, w7 = 0, w15 = 0, w16 = 0] = [w[t - 2], w[t - 7], w[t - 15], w[t - 16]]
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10)
    w[t] = (w16 + s0 + w7 + s1) | 0
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = before
  for (let t = 0; t < 64; t += 1) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const one = (h + s1 + ((e & f) ^ (~e & g)) + (K[t] ?? 0) + (w[t] ?? 0)) | 0
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0]
  }
  return [a, b, c, d, e, f, g, h].map((word, at) => (word + (before[at] ?? 0)) | 0)
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}

function firstPrimes(count: number): readonly number[] {
  const primes: number[] = []
  for (let number = 2; primes.length < count; number += 1) {
    if (primes.every((prime) => number % prime !== 0)) {
      primes.push(number)
    }
  }
  return primes
}

function fractionOf(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0
}
