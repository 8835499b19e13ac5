/** The links in notices to the owner. tenants/sessions.ts signs a browser in with one. */
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { config } from '../config.ts'
import { credentialMac, sha256 } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'

const LINK_HOURS = 7 * 24

/** What a link opens: the page of a person, or the list of people. */
type LinkTarget = {
  leadId: string | null
  /** The stored hash of the tenant's password. With another password the link is no longer valid. */
  credential: string | null
}
export type NewLink = LinkTarget & { token: string; url: string }

/**
 * A new link, which is not valid until it is saved.
 *
 * @returns null where the pages are off
 */
export const newLink = (target: LinkTarget): NewLink | null => {
  const { OPS_PASSWORD, PUBLIC_URL, production } = config()
  if (production && !OPS_PASSWORD) return null
  const token = randomBytes(32).toString('base64url')
  return { ...target, token, url: `${PUBLIC_URL}/l/${token}` }
}

/** Makes a link valid for seven days. The row of the tenant must be locked, at least for sharing. */
export const saveLink = async (
  trx: Trx,
  tenantId: string,
  { leadId, credential, token }: NewLink,
): Promise<void> => {
  await trx
    .insertInto('sessions')
    .values({
      kind: 'link',
      hash: sha256(token),
      tenant_id: tenantId,
      scope: 'leads',
      lead_id: leadId,
      credential: credentialMac({ tenantId, credential }),
      expires_at: sql<Date>`now() + make_interval(hours => ${LINK_HOURS})`,
    })
    .execute()
}
