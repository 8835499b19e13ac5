/** What a person enters: the period of an export, and a list of numbers. */
import { DateTime } from 'luxon'
import { z } from 'zod'
import { readPhone } from '../phone.ts'

const A_MOMENT = 'a day such as 2026-11-30, or a moment such as 2026-11-30T18:00'

/** A day or a moment, in the tenant's time zone. */
const moment = z
  .string()
  .trim()
  .regex(/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?$/, A_MOMENT)
  .refine(written => DateTime.fromISO(written.replace(' ', 'T')).isValid, A_MOMENT)

/** From `since` to `until`. A day as the end is included. */
export const period = z.object({ since: moment.optional(), until: moment.optional() })

/** The period in a time zone: `from` is included, `before` is not. Null: no limit. */
export const periodIn = (
  timezone: string,
  { since, until }: z.infer<typeof period>,
): { from: Date | null; before: Date | null } => {
  const at = (written: string) => DateTime.fromISO(written.replace(' ', 'T'), { zone: timezone })
  return {
    from: since === undefined ? null : at(since).toJSDate(),
    before:
      until === undefined
        ? null
        : (/^\S{10}$/.test(until) ? at(until).plus({ days: 1 }) : at(until)).toJSDate(),
  }
}

/** The numbers of a list in E.164, and the lines (counted from 1) without a number. */
export type NumberList = { numbers: string[]; badLines: number[] }

/**
 * Reads a list of numbers: one in each line, in any common form, or a CSV with numbers in any columns. Every number in
 * a line counts, because a person may have a mobile and a landline. Blank lines, lines that begin with # and a heading
 * without a digit are ignored.
 */
export const readNumbers = (bytes: Buffer): NumberList => {
  const list: NumberList = { numbers: [], badLines: [] }
  // Works in every encoding: the characters of a number have the same bytes in all of them, plus NULs in UTF-16.
  const lines = bytes
    .toString('latin1')
    .replaceAll('\0', '')
    .split(/\r\n|[\r\n]/)
  for (const [index, line] of lines.entries()) {
    const isHeading = index === 0 && !/\d/.test(line)
    if (isHeading || line.trim() === '' || /^[^\w"']*#/.test(line)) continue
    const numbers = line.split(/[,;\t]/).flatMap(numberIn)
    if (numbers.length === 0) list.badLines.push(index + 1)
    list.numbers.push(...numbers)
  }
  return { ...list, numbers: [...new Set(list.numbers)] }
}

/** The number in a cell, which may be quoted or begin with the apostrophe that our exports write. */
const numberIn = (cell: string): string[] => {
  const phone = readPhone(cell.replace(/[^\x20-\x7e]/g, '').replace(/^[\s"']+|[\s"']+$/g, ''))
  return phone.kind === 'number' ? [phone.e164] : []
}
