import { readPhone } from '../phone.ts'

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
