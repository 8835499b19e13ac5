import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify'

export type Row = Record<string, string | null>

/**
 * Writes rows as CSV for Excel: a byte order mark, or Hebrew would be rubbish there, and no cell that it would
 * take for a formula. Reads no faster than `out` takes, and ends it.
 */
export const writeCsv = async (
  columns: readonly string[],
  rows: AsyncIterable<Row>,
  out: Writable,
): Promise<void> => {
  const lines = stringify({
    header: true,
    columns: [...columns],
    bom: true,
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: { string: text => harmless(text) },
  })
  await pipeline(Readable.from(rows), lines, out)
}

/**
 * An apostrophe before everything that a spreadsheet might calculate. csv-stringify's own escape_formulas looks at
 * the first sign only, and knows =, +, -, @, tab, CR and the full-width four: not a sign behind a space, a line break
 * or a mark that cannot be seen, nor its other forms in Unicode. A number in E.164 is no exception: with its
 * apostrophe it stays text, and Excel keeps all its digits and its plus.
 */
export const harmless = (text: string): string => (isDangerous(text) ? `'${text}` : text)

/** Also behind apostrophes of its own, so that each cell can be read back as it was. */
const isDangerous = (text: string): boolean =>
  /^'*[\t\r\n]|^[\s\p{C}']*[=+\-@\u2212]/u.test(text.normalize('NFKC'))

/** The cell as it was. */
export const unescaped = (cell: string): string =>
  cell.startsWith("'") && isDangerous(cell.slice(1)) ? cell.slice(1) : cell
