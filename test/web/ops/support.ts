import { auditLogOf } from '../../support/ops.ts'
import { db } from '../../support/ringback.ts'

type Page = { text: string }

/** A section of a page, or ''. */
export const partOf = ({ text }: Page, id: string): string =>
  new RegExp(`<section id="${id}"[^]*?</section>`).exec(text)?.[0] ?? ''

/** The phone numbers of the people on /ops/leads, in order. */
export const toCall = ({ text }: Page): string[] =>
  [...text.matchAll(/href="tel:([^"]+)"/g)].map(([, phone = '']) => phone)

/** The audit log without the set-up, which the command line did. */
export const doneTo = async ({ tenantId }: { tenantId: string }) =>
  (await auditLogOf(tenantId)).filter(({ who }) => who !== 'command line')

export const leadOf = (tenantId: string, phone: string) =>
  db
    .selectFrom('leads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirstOrThrow()
