/** Whether every hostile body is where it belongs: stored, or kept aside with its exact bytes. */
import { createHash } from 'node:crypto'
import type { Hostile } from './hostile_cdr.ts'

/** What is remembered of a body that was posted, and of its answer; not the body, for there are many. */
export type Posted = {
  kind: string
  status: number
  /** An External Layer is told to go on, though what it sent was kept aside. */
  isIvr: boolean
  fits: boolean
  whole: string
  parts: string[]
  marks: string[]
  /** Whether a reader who trusts nothing takes the bytes for JSON; of webhooks. */
  isJson: boolean
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const isJson = (bytes: Buffer): boolean => {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

export const posted = (
  { kind, bytes, fits, parts, marks }: Hostile & { marks?: string[] },
  status: number,
  answer: string,
): Posted => ({
  kind,
  status,
  isIvr: answer === '{"STATUS":1}',
  fits: fits.includes(status),
  whole: sha256(bytes),
  parts: parts.map(sha256),
  marks: marks ?? [],
  isJson: marks !== undefined && isJson(bytes),
})

export type Query = <Row extends Record<string, unknown>>(text: string) => Promise<Row[]>

/** What is in the database, by its SHA-256 or its mark. */
const contents = async (query: Query) => {
  const column = async (text: string) =>
    new Set((await query<{ found: string }>(text)).map(({ found }) => found))
  return {
    stored: await column("select distinct encode(sha256(body), 'hex') as found from raw_cdrs"),
    cdrs: await column(
      "select distinct encode(sha256(body), 'hex') as found from rejected_deliveries where source = 'voicenter'",
    ),
    webhooks: await column(
      "select distinct encode(sha256(body), 'hex') as found from rejected_deliveries where source = 'whatsapp'",
    ),
    marks: await column(
      "select distinct m[1] as found from whatsapp_events, regexp_matches(payload::text, 'mark[0-9a-z]+', 'g') m",
    ),
  }
}

/** @returns what is wrong, a line for each body of which something is; empty if all are kept */
export const violations = async (
  query: Query,
  cdrs: Posted[],
  webhooks: Posted[],
): Promise<string[]> => {
  const { stored, cdrs: rejected, webhooks: quarantined, marks } = await contents(query)
  const wrong: string[] = []
  for (const body of cdrs) {
    const { kind, status, fits, isIvr, whole, parts } = body
    const isRejected = rejected.has(whole)
    const ok =
      status === 200
        ? isIvr
          ? isRejected
          : parts.every(part => stored.has(part))
        : status === 400
          ? isRejected ||
            (parts.every(part => stored.has(part) || rejected.has(part)) &&
              parts.some(part => rejected.has(part)))
          : status === 415
            ? isRejected === parts.length > 0
            : !stored.has(whole) && !isRejected
    if (!fits) wrong.push(`${kind}: answered ${status}`)
    if (!ok) wrong.push(`${kind}: answered ${status}, and not where it belongs (sha256 ${whole})`)
  }
  for (const { kind, status, fits, isJson, whole, marks: its } of webhooks) {
    const ok =
      status !== 200 || quarantined.has(whole) || (isJson && its.every(mark => marks.has(mark)))
    if (!fits) wrong.push(`webhook, ${kind}: answered ${status}`)
    if (!ok)
      wrong.push(`webhook, ${kind}: answered ${status}, and not where it belongs (sha256 ${whole})`)
  }
  return wrong
}
