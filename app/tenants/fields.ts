import { z } from 'zod'

/** An id of ours, as it is written by hand: at most as long as a bigint is for certain. */
const idOf = (what: string) => z.string().regex(/^[1-9]\d{0,17}$/, `the id of ${what}`)

export const tenantId = idOf('a business')
/** Where nothing but the business is named. */
export const tenantNamed = z.object({ tenantId })
export const tokenId = idOf('a webhook token')
export const messageId = idOf('a message')

/** What customers read in the message. Meta refuses values with line breaks. */
export const tenantName = z
  .string()
  .trim()
  .min(1, 'a name')
  .max(100, 'a name of at most 100 characters')
  .refine(name => !/\p{Cc}/u.test(name), 'a name in one line')

export const MODES = ['live', 'shadow', 'paused'] as const
export const mode = z.enum(MODES, 'live, shadow or paused')

export const phoneNumberId = z.string().regex(/^\d{1,30}$/, "Meta's id of the number, digits only")
