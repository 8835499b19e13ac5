import { DateTime } from 'luxon'
import { z } from 'zod'
import { readPhone } from '../phone.ts'

const A_MOMENT = 'a day such as 2026-11-30, or a moment such as 2026-11-30T18:00'

/** A day or a moment, on the business's own clock. */
const moment = z
  .string()
  .trim()
  .regex(/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?$/, A_MOMENT)
  .refine(written => DateTime.fromISO(written.replace(' ', 'T')).isValid, A_MOMENT)

/** From `since` up to `until`, both as a person writes them. A day as the end means until it is over. */
export const period = z.object({ since: moment.optional(), until: moment.optional() })

/** The period by the clock of a zone; null = without an end on that side. `until` itself is no longer in it. */
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

/** What a list of people says: their numbers in E.164, and the lines (from 1) that are no number. */
export type NumberList = { numbers: string[]; badLines: number[] }

/**
 * Reads a list of numbers: one in each line, in any common form, or a CSV with numbers in any columns, as a
 * spreadsheet saves it: all of them, for she has a mobile and a telephone at home. Blank lines, lines that begin with #, and a first line without a digit are no numbers, and
 * not meant to be.
 */
export const readNumbers = (bytes: Buffer): NumberList => {
  const list: NumberList = { numbers: [], badLines: [] }
  // Whatever the encoding: a number is made of signs that are the same in all of them, UTF-16 but for its NULs.
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

/** A quoted cell, or one with the apostrophe that keeps a spreadsheet from calculating it. */
const numberIn = (cell: string): string[] => {
  const phone = readPhone(cell.replace(/[^\x20-\x7e]/g, '').replace(/^[\s"']+|[\s"']+$/g, ''))
  return phone.kind === 'number' ? [phone.e164] : []
}
