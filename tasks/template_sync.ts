import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { askAboutNumbers, storeAskedNumbers } from '../app/tenants/accounts.ts'
import {
  accountsOf,
  askAccounts,
  scheduleSyncs,
  storeTemplates,
} from '../app/tenants/template_sync.ts'

/**
 * Asks Meta about the WhatsApp numbers and templates of a tenant, every night. Without a tenant, adds the jobs of all. Safe
 * to run twice.
 */
const templateSync: Task = async payload => {
  const { tenantId } = payloads.template_sync.parse(payload)
  if (tenantId === undefined) {
    await scheduleSyncs()
    return
  }
  const numbers = await askAboutNumbers(db, tenantId)
  await db.transaction().execute(trx => storeAskedNumbers(trx, numbers))
  const accounts = await db.transaction().execute(trx => accountsOf(trx, tenantId))
  if (accounts.length === 0) return
  const asked = await askAccounts(accounts)
  const { problems } = await db
    .transaction()
    .execute(trx => storeTemplates(trx, null, tenantId, asked))
  if (problems.length > 0) log.warn({ tenantId, problems }, 'Graph told nothing about templates')
  // The other problems stay until a person enters another token or account.
  if (problems.some(({ why }) => why === 'unanswered')) throw new Error('Graph did not answer')
}

export default templateSync
