import { createHash } from 'node:crypto'

/** Short and stable: tells checkouts and versions apart in names of limited length. */
export const hash = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 12)

/** As what the keeper of a folder shows in pg_stat_activity, which cuts names at 63 bytes. */
export const keeperName = (folder: string): string => `ringback keeper ${hash(folder)}`
