import { z } from 'zod'
import { lineOf } from '../phone.ts'

/** A line that customers dial, in any common form: 072-277-6772, +972722776772, 1-700-123-456, *2700. */
export const line = z.string().transform((written, context) => {
  const phone = lineOf(written)
  if (!phone) context.addIssue('a telephone number such as 0722776772 or *2700')
  return phone ?? z.NEVER
})
export const A_TELEPHONE = 'a telephone number such as 0502345678'
export const telephone = line.refine(phone => phone.startsWith('+'), A_TELEPHONE)
