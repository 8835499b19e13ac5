/** What the demo needs: an empty database, a fake WhatsApp, a tenant, and Ringback as a process of its own. */
import pg from 'pg'
import { dataFolder } from '../../app/config.ts'
import { embeddedPostgres } from '../../app/db/embedded_postgres.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import {
  addNumber,
  addPopupToken,
  addTenant,
  freePort,
  startRingback,
  useButtons,
} from '../processes.ts'

/** In seconds, instead of minutes and hours. */
export const DELAYS = { outreach: 3, reminder1: 4, reminder2: 8, unresponsive: 2 }

/** It gets the notices, with links. */
const OWNER_PHONE = '+972502223344'

export type Environment = Awaited<ReturnType<typeof startEnvironment>>

/**
 * @param port of Ringback; by default 3000, or a free port if that one is taken
 * @throws Error if Ringback does not start; the text names its log
 */
export const startEnvironment = async (port: string | undefined) => {
  const databaseUrl = await emptyDatabase()
  const url = `http://127.0.0.1:${port ?? (await freePort(3000))}`
  const fake = await startFakeWhatsApp()
  const name = 'מספרת נועה'
  const number = addNumber(fake, {
    name,
    displayNumber: '+972722776772',
    callbackUrl: `${url}/webhooks/whatsapp`,
  })
  const env = {
    ...process.env,
    NODE_ENV: 'development',
    DATABASE_URL: databaseUrl,
    PORT: new URL(url).port,
    PUBLIC_URL: url,
    WHATSAPP_GRAPH_URL: fake.url,
    WHATSAPP_APP_SECRET: number.appSecret,
    WHATSAPP_VERIFY_TOKEN: number.verifyToken,
  }
  fake.setPerson({ phone: OWNER_PHONE, name: 'The owner' })
  const { phoneNumberId, token: accessToken } = number
  const tenant = { name, number: '0722776772', ownerPhone: OWNER_PHONE }
  const { tenantId, webhookUrl } = await addTenant({ ...tenant, phoneNumberId, accessToken }, env)
  const { webhookUrl: popupUrl } = await addPopupToken(tenantId, env)
  await useButtons(tenantId, env)
  const database = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  // The demo also plays at night and on Shabbat.
  await database.query(`update tenants set reminder_quiet_windows = '{}'`)
  await database.query(
    `update tenants set outreach_delay = make_interval(secs => $1), reminder_1_after = make_interval(secs => $2),
       reminder_2_after = make_interval(secs => $3), unresponsive_after = make_interval(secs => $4)`,
    [DELAYS.outreach, DELAYS.reminder1, DELAYS.reminder2, DELAYS.unresponsive],
  )
  const log = `${dataFolder}demo.log`
  const { stop } = await startRingback('all', env, log)
  await fake.verify(phoneNumberId)
  return {
    url,
    webhookUrl,
    /** Voicenter's Pop-Up Screen posts its events here. */
    popupUrl,
    /** Of the tenant, in WhatsApp. */
    phoneNumberId,
    databaseUrl,
    log,
    fake,
    database,
    /** Posts a CDR as Voicenter does, and returns the HTTP status of the answer. Text is posted as a form. */
    post: async (cdr: Record<string, unknown> | string): Promise<number> => {
      const isForm = typeof cdr === 'string'
      const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json'
      const answer = await fetch(webhookUrl, {
        method: 'POST',
        headers: { 'content-type': type },
        body: isForm ? cdr : JSON.stringify(cdr),
      })
      return answer.status
    },
    stop: async (): Promise<void> => {
      await stop()
      await database.end()
      await fake.close()
    },
  }
}

/** The demo starts with an empty database each time. Its server is not the one of `npm start`. */
const emptyDatabase = async (): Promise<string> => {
  const folder = '.data/demo-postgres'
  const client = new pg.Client(await embeddedPostgres({ folder, database: 'postgres' }))
  await client.connect()
  await client.query('drop database if exists ringback with (force)')
  await client.end()
  return embeddedPostgres({ folder })
}
