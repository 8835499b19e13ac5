/**
 * Measures whether the time of an answer reveals how much of a secret was right. Started by hand, because it cannot fail:
 *
 *   node --import=./test/support/database.ts test/system/timing.ts
 */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { business, CDR, WHATSAPP } from '../support/ringback.ts'
import { hmac } from '../support/whatsapp.ts'

// The helpers import tap, whose time limit is half a minute.
t.setTimeout(600_000)

const EACH = 2000
const { token } = await business()
const body = '{}'
const signature = hmac(body)
/** Right except for the last character. */
const nearly = (secret: string) => secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0')

const ENDPOINTS = {
  'webhook token': (isNear: boolean) => [
    `${CDR}?token=${isNear ? nearly(token) : randomBytes(32).toString('base64url')}`,
    {},
  ],
  'WhatsApp signature': (isNear: boolean) => [
    WHATSAPP,
    {
      'x-hub-signature-256': `sha256=${isNear ? nearly(signature) : randomBytes(32).toString('hex')}`,
    },
  ],
} satisfies Record<string, (isNear: boolean) => [string, Record<string, string>]>

const time = async ([url, headers]: [string, Record<string, string>]): Promise<number> => {
  const started = performance.now()
  await (await fetch(url, { method: 'POST', body, headers })).text()
  return performance.now() - started
}

/** The two-sided p-value of the Mann-Whitney U test, by its normal approximation. */
const pValue = (one: number[], other: number[]): number => {
  const all = [...one.map(ms => ({ ms, mine: true })), ...other.map(ms => ({ ms, mine: false }))]
  const ranks = all
    .toSorted((a, b) => a.ms - b.ms)
    .reduce((sum, { mine }, i) => sum + (mine ? i + 1 : 0), 0)
  const pairs = one.length * other.length
  const u = ranks - (one.length * (one.length + 1)) / 2
  const z = Math.abs(u - pairs / 2) / Math.sqrt((pairs * (all.length + 1)) / 12)
  // The approximation of Zelen and Severo, accurate to 7 digits.
  const k = 1 / (1 + 0.2316419 * z)
  const tail =
    k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
  return Math.min(1, (2 * tail * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI))
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

for (const [name, endpoint] of Object.entries(ENDPOINTS)) {
  const near: number[] = []
  const wrong: number[] = []
  for (let i = 0; i < 100; i++) await time(endpoint(i % 2 === 0))
  // In turns and in changing order, so that other load on the machine affects both.
  for (let i = 0; i < EACH; i++)
    for (const isNear of i % 2 ? [true, false] : [false, true])
      (isNear ? near : wrong).push(await time(endpoint(isNear)))
  console.log(
    `${name}: ${EACH} each, median ${median(near).toFixed(3)} ms nearly right, ${median(wrong).toFixed(3)} ms wrong, p = ${pValue(near, wrong).toFixed(3)}`,
  )
}
process.exit()
