/**
 * CRC-32 of joined sequences from the CRCs of their parts, and of runs of zeros without touching them: following `n` bytes multiply what
 * came before by x^(8n) modulo the polynomial. Elements are reflected as the CRC is: the highest bit is x^0.
 */

const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;
/** x^(2^k). The order of x divides 2^32-1, so k counts modulo 32. */
const SQUARES: readonly number[] = makeSquares();

/** The CRC of two sequences, one after the other; `secondLength` is in bytes. */
export function crc32Combine(first: number, second: number, secondLength: number): number {
  return (multiply(powerOfBytes(secondLength), first) ^ second) >>> 0;
}

/** The CRC of `length` zero bytes. */
export function crc32OfZeros(length: number): number {
  return ~multiply(powerOfBytes(length), 0xffffffff) >>> 0;
}

/** x^(8 * length). */
function powerOfBytes(length: number): number {
  let power = ONE;
  for (let rest = length, index = 3; rest > 0; rest = Math.floor(rest / 2), index++) {
    if (rest % 2 === 1) power = multiply(SQUARES[index % 32]!, power);
  }
  return power;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

function makeSquares(): number[] {
  const squares = [ONE >>> 1];
  for (let index = 1; index < 32; index++) squares.push(multiply(squares[index - 1]!, squares[index - 1]!));
  return squares;
}
