/** The businesses of the run, added by the command an operator uses, each with its own number, token and line. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Client, Pool } from 'pg'
import { z } from 'zod'
import { DEFAULT_TEMPLATES } from '../../app/whatsapp/templates.ts'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import { DELAYS } from './plan.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export type Business = {
  tenantId: string
  name: string
  /** The number its customers dial, in the exchange's form. */
  line: string
  /** What its exchange shows at our door; an unbound one leaves it to the line whose call it is. */
  token: string
  bound: boolean
  phoneNumberId: string
  accessToken: string
  ownerPhone: string | null
}

const printed = z.object({ tenantId: z.string(), webhookToken: z.string() })

/** Three with a token of their own, and one whose calls come with an unbound token. */
export const addBusinesses = async (
  fake: FakeWhatsApp,
  database: Pool | Client,
  env: NodeJS.ProcessEnv,
): Promise<Business[]> => {
  const businesses = []
  for (const [n, name] of ['Noa', 'Dan', 'Tamar', 'Lior'].entries()) {
    const line = `07227700${String(n).padStart(2, '0')}`
    const number = fake.addNumber({
      name,
      displayNumber: `+972${line.slice(1)}`,
      appSecret: env['WHATSAPP_APP_SECRET'],
      verifyToken: env['WHATSAPP_VERIFY_TOKEN'],
      callbackUrl: `${env['PUBLIC_URL']}/webhooks/whatsapp`,
    })
    for (const { name, language, text: body, variables } of Object.values(DEFAULT_TEMPLATES))
      fake.addTemplate({
        wabaId: number.wabaId,
        name,
        language,
        body,
        parameters: variables.length,
      })
    const ownerPhone = n % 2 === 0 ? `+97254999000${n}` : null
    const flags = ['add', '--json', '--mode', 'live', '--name', name, '--number', line]
    flags.push(
      '--phone-number-id',
      number.phoneNumberId,
      '--access-token-env',
      'CHAOS_ACCESS_TOKEN',
    )
    if (ownerPhone) flags.push('--owner-phone', ownerPhone)
    const { stdout } = await run(process.execPath, ['scripts/tenant.ts', ...flags], {
      cwd: ROOT,
      env: { ...env, CHAOS_ACCESS_TOKEN: number.token },
    })
    const { tenantId, webhookToken } = printed.parse(
      JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''),
    )
    const bound = n < 3
    businesses.push({
      tenantId,
      name,
      line,
      token: bound ? webhookToken : await unboundToken(database),
      bound,
      phoneNumberId: number.phoneNumberId,
      accessToken: number.token,
      ownerPhone,
    })
  }
  await database.query(
    `update tenants set outreach_delay = make_interval(secs => $1), reminder_1_after = make_interval(secs => $2),
       reminder_2_after = make_interval(secs => $3), unresponsive_after = make_interval(secs => $4),
       reminder_grace = make_interval(secs => $5)`,
    [
      DELAYS.outreach,
      DELAYS.reminder1,
      DELAYS.reminder2,
      DELAYS.unresponsive,
      DELAYS.reminderGrace,
    ],
  )
  return businesses
}

const unboundToken = async (database: Pool | Client): Promise<string> => {
  const token = randomBytes(32).toString('base64url')
  await database.query('insert into webhook_tokens (tenant_id, hash) values (null, $1)', [
    createHash('sha256').update(token).digest(),
  ])
  return token
}
