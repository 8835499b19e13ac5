/** What the tests of the pages look at. */
import { deedsOf } from '../../support/ops.ts'
import { db } from '../../support/ringback.ts'

type Page = { text: string }

/** One section of a page; '' = the page has no such one. */
export const partOf = ({ text }: Page, id: string): string =>
  new RegExp(`<section id="${id}"[^]*?</section>`).exec(text)?.[0] ?? ''

/** Who is to be called back, in order. */
export const toCall = (page: Page): string[] =>
  [...partOf(page, 'call-back').matchAll(/href="tel:([^"]+)"/g)].map(([, phone = '']) => phone)

/** What was done on the pages; the business itself was set up at the command line. */
export const doneTo = async ({ tenantId }: { tenantId: string }) =>
  (await deedsOf(tenantId)).filter(({ who }) => who !== 'command line')

export const leadOf = (tenantId: string, phone: string) =>
  db
    .selectFrom('leads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirstOrThrow()
