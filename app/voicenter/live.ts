/**
 * Reads what Voicenter reports about calls that are going on: the events of its Pop-Up Screen, and the answers of its
 * Active Calls (its pages "Pop-Up Screen" and "Active Calls").
 */
import { asObject, isObject, type Json, type JsonObject, readJson } from '../json.ts'
import type { LiveEvent, Phase } from '../outreach/line.ts'
import { isPlaceholder, readPhone } from '../phone.ts'
import { asText } from './parse.ts'

/** One event, or one call in an answer. */
export type ReportedLeg = Pick<LiveEvent, 'extension' | 'answeredAt' | 'isAnswered'> & {
  /** The numbers that may be the customer's, in E.164, the best first. */
  numbers: string[]
  /** Null: the event names no call, or no phase that is known. Then it only asks who the person is. */
  leg: { callId: string; phase: Phase } | null
}

const PHASE_OF: Record<string, Phase> = {
  ringing: 'ringing',
  dialing: 'ringing',
  dialling: 'ringing',
  talking: 'talking',
  hold: 'talking',
  hangup: 'hangup',
}

const MAX_ID = 128

/**
 * @param record JSON, a form, or the query of a GET, which has fewer fields
 * @returns null for a call between two extensions, which concerns no customer
 */
export const readPopup = (record: JsonObject): ReportedLeg | null => {
  const fields = fieldsOf(record)
  const current = fieldsOf(asObject(fields.get('currentcall') ?? null) ?? {})
  const text = (...names: string[]) => textIn(fields, names)
  const isYes = (written: string) => /^(1|true|yes)$/i.test(written)
  if (isYes(textIn(current, ['isinternal'])) || isYes(text('isinternal'))) return null
  const answeredAt = seconds(text('callanswered'))
  return {
    // In a transferred call, `phone` may be an extension or a line of the tenant.
    numbers: numbersIn([text('phone'), textIn(current, ['originalcallerid'])]),
    extension: text('extenuser', 'extension').slice(0, MAX_ID),
    answeredAt,
    isAnswered: answeredAt > 0 || isYes(text('isanswered', 'isanswer')),
    leg: legIn(text('ivrid', 'ivruniqueid'), text('status', 'statuscall')),
  }
}

/** @returns the calls of an answer, or one of our own words for what is wrong with it */
export const readActiveCalls = (body: string): { calls: ReportedLeg[] } | { wrong: string } => {
  const json = readJson(body, MAX_VALUES)
  const value = 'value' in json ? asObject(json.value) : null
  if (!value) return { wrong: 'unreadable' }
  const answer = fieldsOf(value)
  const error = textIn(answer, ['err'])
  if (Number(error) !== 0)
    return { wrong: /^\d{1,9}$/.test(error) ? `error_${error}` : 'unreadable' }
  const calls = objectsIn(answer.get('extensions')).flatMap(extension => {
    const fields = fieldsOf(extension)
    return objectsIn(fields.get('calls')).map(call => {
      const of = fieldsOf(call)
      const answeredAt = seconds(textIn(of, ['callanswered']))
      return {
        numbers: numbersIn([textIn(of, ['callerphone'])]),
        extension: textIn(fields, ['username']).slice(0, MAX_ID),
        answeredAt,
        isAnswered: answeredAt > 0,
        leg: legIn(textIn(of, ['ivrid']), textIn(of, ['callstatus'])),
      }
    })
  })
  return { calls }
}

/** A thousand extensions with several calls each have fewer. */
const MAX_VALUES = 100_000

const legIn = (callId: string, status: string): ReportedLeg['leg'] => {
  const phase = PHASE_OF[status.toLowerCase().replace(/[^a-z]/g, '')]
  return phase && callId !== '' && callId.length <= MAX_ID ? { callId, phase } : null
}

const numbersIn = (written: readonly string[]): string[] => {
  const phones = written.map(readPhone)
  return [...new Set(phones.flatMap(phone => (phone.kind === 'number' ? [phone.e164] : [])))]
}

type Fields = ReadonlyMap<string, Json>

/** By lower-case name. */
const fieldsOf = (record: JsonObject): Fields =>
  new Map(Object.entries(record).map(([name, value]) => [name.toLowerCase(), value]))

/** The first of these fields that has a value; '' if none has. */
const textIn = (fields: Fields, names: readonly string[]): string => {
  for (const name of names) {
    const text = asText(fields.get(name))
    if (text && !isPlaceholder(text)) return text
  }
  return ''
}

const objectsIn = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : []

const LATEST_SECONDS = 1e11

/** An earlier date is the zero of some clock, in any zone: it means "never". */
const FIRST_DATE_SECONDS = Date.UTC(2000, 0, 1) / 1000

/** Unix seconds, milliseconds or a date. Only the order of two values of one leg matters, so the zone does not. */
const seconds = (written: string): number => {
  const isNumber = /^[-+]?\d+(\.\d+)?$/.test(written)
  const number = isNumber ? Number(written) : Date.parse(written) / 1000
  if (!Number.isFinite(number) || number <= 0) return 0
  if (!isNumber && number < FIRST_DATE_SECONDS) return 0
  return number > LATEST_SECONDS ? number / 1000 : number
}
