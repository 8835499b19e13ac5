/** Call records from a file, one JSON record per line, as Voicenter would have posted them. */
import { z } from 'zod'
import { canonical, isObject, type JsonObject, readJson } from '../json.ts'
import { sha256 } from '../crypto.ts'
import { type Cdr, readCdr, rootOf } from '../voicenter/parse.ts'
import { startOf } from '../voicenter/time.ts'
import { legOf } from '../voicenter/classify.ts'
import type { Heard } from './replay.ts'
import { SECOND } from './rules.ts'

const moment = z.iso.datetime({ offset: true, local: false }).transform(text => new Date(text))

/**
 * Reads all lines and puts them in the order of their receipt, so a file is in memory as a whole. The same record
 * again counts once, as at the door.
 *
 * @param now the moment before which everything must have happened
 * @param wrong is told of every line that cannot be used, by its number
 */
export const recordsOf = async (
  lines: AsyncIterable<string>,
  now: Date,
  wrong: (line: number, why: string) => void,
): Promise<Heard[]> => {
  const heard: Heard[] = []
  const known = new Set<string>()
  let number = 0
  for await (const line of lines) {
    number++
    if (line.trim() === '') continue
    const read = readLine(line, now)
    if ('wrong' in read) {
      wrong(number, read.wrong)
      continue
    }
    if (known.has(read.key)) continue
    known.add(read.key)
    heard.push(read.heard)
  }
  return heard.toSorted((a, b) => a.receivedAt.getTime() - b.receivedAt.getTime())
}

const readLine = (line: string, now: Date): { heard: Heard; key: string } | { wrong: string } => {
  const json = readJson(line)
  if ('wrong' in json) return { wrong: json.wrong.replace('body', 'line') }
  if (!isObject(json.value)) return { wrong: 'not an object' }
  const { record, receivedAt } = unwrap(json.value)
  if (receivedAt === null) return { wrong: 'received_at is no moment such as 2026-07-01T10:00:00Z' }
  const read = readCdr(record)
  if ('wrong' in read) return read
  const at = receivedAt ?? endOf(read.cdr, now)
  if (at === null) return { wrong: 'neither received_at nor a time of its own that can be read' }
  return {
    heard: {
      rootCallId: rootOf(read.cdr),
      receivedAt: at,
      leg: legOf(read.cdr, at),
      records: null,
    },
    key: sha256(canonical(record)).toString('base64'),
  }
}

/** `{"received_at": ..., "record": {...}}`, or the record by itself; then nobody has said when it came. */
const unwrap = (value: JsonObject): { record: JsonObject; receivedAt?: Date | null } => {
  const { received_at, record } = value
  if (received_at === undefined || !isObject(record)) return { record: value }
  const { data, success } = moment.safeParse(received_at)
  return { record, receivedAt: success ? data : null }
}

/** When a call ended, as far as its record tells; no record can have come before. */
const endOf = (cdr: Cdr, now: Date): Date | null => {
  const start = startOf({ callId: cdr.callId, time: cdr.time ?? null }, now)
  if (start.clock === 'received') return null
  const seconds = (cdr.ringSeconds ?? 0) + (cdr.talkSeconds ?? 0)
  return new Date(start.at.getTime() + seconds * SECOND)
}
