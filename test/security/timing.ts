/**
 * By hand, for it measures and cannot fail: does the time of an answer tell how nearly right a secret was?
 *
 *   node --import=./test/support/database.ts test/security/timing.ts
 */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { business, CDR, WHATSAPP } from '../support/ringback.ts'
import { hmac } from '../support/whatsapp.ts'

// It comes with the helpers, and would end this after half a minute.
t.setTimeout(600_000)

const EACH = 2000
const { token } = await business()
const body = '{}'
const signature = hmac(body)
/** All of it but the last sign. */
const nearly = (secret: string) => secret.slice(0, -1) + (secret.endsWith('0') ? '1' : '0')

const DOORS = {
  'webhook token': (near: boolean) => [
    `${CDR}?token=${near ? nearly(token) : randomBytes(32).toString('base64url')}`,
    {},
  ],
  'WhatsApp signature': (near: boolean) => [
    WHATSAPP,
    {
      'x-hub-signature-256': `sha256=${near ? nearly(signature) : randomBytes(32).toString('hex')}`,
    },
  ],
} satisfies Record<string, (near: boolean) => [string, Record<string, string>]>

const time = async ([url, headers]: [string, Record<string, string>]): Promise<number> => {
  const started = performance.now()
  await (await fetch(url, { method: 'POST', body, headers })).text()
  return performance.now() - started
}

/** Mann-Whitney's U test, two-sided, by its normal approximation: how likely chance alone is. */
const pValue = (one: number[], other: number[]): number => {
  const all = [...one.map(ms => ({ ms, mine: true })), ...other.map(ms => ({ ms, mine: false }))]
  const ranks = all
    .toSorted((a, b) => a.ms - b.ms)
    .reduce((sum, { mine }, i) => sum + (mine ? i + 1 : 0), 0)
  const pairs = one.length * other.length
  const u = ranks - (one.length * (one.length + 1)) / 2
  const z = Math.abs(u - pairs / 2) / Math.sqrt((pairs * (all.length + 1)) / 12)
  // Zelen and Severo, good to 7 digits.
  const k = 1 / (1 + 0.2316419 * z)
  const tail =
    k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
  return Math.min(1, (2 * tail * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI))
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

for (const [name, door] of Object.entries(DOORS)) {
  const near: number[] = []
  const wrong: number[] = []
  for (let i = 0; i < 100; i++) await time(door(i % 2 === 0))
  // By turns, in changing order, so that whatever else the machine does meets both.
  for (let i = 0; i < EACH; i++)
    for (const isNear of i % 2 ? [true, false] : [false, true])
      (isNear ? near : wrong).push(await time(door(isNear)))
  console.log(
    `${name}: ${EACH} each, median ${median(near).toFixed(3)} ms nearly right, ${median(wrong).toFixed(3)} ms wrong, p = ${pValue(near, wrong).toFixed(3)}`,
  )
}
process.exit()
