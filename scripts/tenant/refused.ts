/** npm run tenant -- refused */
import type { Trx } from '../../app/db/kysely.ts'
import { sql } from 'kysely'
import { z } from 'zod'
import { rereadDeliveries } from '../../app/web/reread_rejected.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  inTransaction,
  readAction,
  readFlags,
  STRING,
} from './terminal.ts'

const REFUSED_HELP = `Usage: npm run tenant -- refused [list] [--tenant ID] [--json]
       npm run tenant -- refused reread [--id ID] [--tenant ID] [--json]

Deliveries of Voicenter and WhatsApp that could not be read. They are kept for RETENTION_DAYS.
list shows the newest ones. reread reads them again, after the program or a setting was mended: what is readable now is
stored as if it had just arrived with the same token, and leaves the list. A call of hours ago gets no late message.
Safe to run any number of times.

  --tenant ID  only deliveries with the token of this business
  --id ID      only this delivery
  --json       the last line of stdout is one JSON object: deliveries, more; or stored, rejected
  --help       show this text`

const MAX_SHOWN = 200

export const refused: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'reread'])
  const flags = readFlags(rest, REFUSED_HELP, { tenant: STRING, id: STRING, json: BOOLEAN })
  const tenantId =
    flags.tenant === undefined ? null : check(tenantOnly, { tenantId: flags.tenant }).tenantId
  if (action === 'list') {
    const found = await inTransaction(terminal, trx => openDeliveries(trx, tenantId))
    const [shown, more] = [found.slice(0, MAX_SHOWN), found.length > MAX_SHOWN]
    if (flags.json) return console.log(JSON.stringify({ deliveries: shown, more }))
    if (shown.length === 0) return console.error('no delivery was refused')
    console.table(shown.map(one => ({ ...one, receivedAt: one.receivedAt.toISOString() })))
    if (more) console.error(`only the newest ${MAX_SHOWN} are shown`)
    return
  }
  const id = flags.id === undefined ? null : check(deliveryOnly, { id: flags.id }).id
  const since = await inTransaction(terminal, async trx => {
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(trx)
    return rows[0]?.now
  })
  let [stored, rejected] = [0, 0]
  for (let more = true; more;) {
    const counts = await inTransaction(terminal, trx =>
      rereadDeliveries(trx, COMMAND_LINE, { tenantId, id, since }),
    )
    stored += counts.stored
    rejected += counts.rejected
    more = counts.more
  }
  console.error(`${stored} stored, ${rejected} still not readable`)
  if (flags.json) console.log(JSON.stringify({ stored, rejected }))
}

const deliveryOnly = z.object({
  id: z.string().regex(/^[1-9]\d{0,17}$/, 'the id of a refused delivery'),
})

const openDeliveries = async (trx: Trx, tenantId: string | null) =>
  trx
    .selectFrom('rejected_deliveries')
    .select(['id', 'tenant_id as tenantId', 'source', 'reason', 'deliveries'])
    .select(['received_at as receivedAt', sql<number | null>`octet_length(body)`.as('bytes')])
    .where('discarded_at', 'is', null)
    .where(sql<boolean>`reread_result is distinct from 'stored'`)
    .$if(tenantId !== null, query => query.where('tenant_id', '=', tenantId))
    .orderBy('received_at', 'desc')
    .orderBy('id', 'desc')
    .limit(MAX_SHOWN + 1)
    .execute()
