/**
 * What DATABASE_URL says about TLS, of which node-postgres 8 has its own idea: `sslmode=require`, `prefer` and
 * `verify-ca` all mean verify-full, so that a certificate of one's own chain is refused, and from version 9 on they
 * mean less than that; a mode it does not know means verify-full, too; `ssl=false` ends the process. So a form is taken
 * only if it says what it does.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { startupError } from './errors.ts'

const FORM =
  'of sslmode only verify-full (with sslrootcert=<file> where the certificate is of a private authority), no-verify ' +
  '(encrypted, open to somebody in the middle) or disable, and no other ssl parameter: docs/deploy.md'

/** Read by node-postgres beside sslmode. */
const FILES = ['sslrootcert', 'sslcert', 'sslkey']

/** @returns what is expected instead, where it is wrong; null where it is well */
export const wrongTls = (databaseUrl: string): string | null => {
  const { searchParams } = new URL(databaseUrl)
  const names = [...searchParams.keys()].filter(name => /ssl/i.test(name))
  const mode = searchParams.get('sslmode')
  const known = [...FILES, 'sslmode', 'sslnegotiation', 'uselibpqcompat']
  const twice = new Set(names).size < names.length
  // As psql has it; node-postgres's own warning recommends it.
  const libpq = searchParams.get('uselibpqcompat') === 'true'
  const modes = ['disable', 'verify-full', ...(libpq ? ['require', 'verify-ca'] : ['no-verify'])]
  if (twice || names.some(name => !known.includes(name)) || (mode && !modes.includes(mode)))
    return FORM
  if (libpq && mode === 'verify-ca' && !searchParams.get('sslrootcert')) return FORM
  return null
}

/** On this very machine, where nobody listens in and nobody offers TLS. */
const isLocal = (databaseUrl: string): boolean => {
  const { hostname, searchParams } = new URL(databaseUrl)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  return /^(localhost|127\.[\d.]+|\[?::1\]?|\/.*)$/.test(host)
}

/**
 * Managed Postgres wants TLS, and on small plans shows a certificate that nobody can verify: where the URL says nothing,
 * the line is encrypted but not proof against somebody in the middle. What the URL says takes precedence.
 */
export const tlsOf = (
  databaseUrl: string,
  production: boolean,
): { rejectUnauthorized: false } | undefined =>
  production && !isLocal(databaseUrl) ? { rejectUnauthorized: false } : undefined

/** Whether phone numbers and texts would go over a network in clear. */
export const isInClear = (databaseUrl: string): boolean =>
  new URL(databaseUrl).searchParams.get('sslmode') === 'disable' && !isLocal(databaseUrl)

/** Where a development machine keeps its database and its key. Never used in production. */
export const dataFolder = fileURLToPath(new URL('../.data/', import.meta.url))

const wholeNumber = (least: number, most: number) =>
  z.coerce
    .number(`a whole number from ${least} to ${most}`)
    .int(`a whole number from ${least} to ${most}`)
    .min(least, `a whole number from ${least} to ${most}`)
    .max(most, `a whole number from ${least} to ${most}`)

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'an http or https URL' })
  .transform(url => url.replace(/\/+$/, ''))

/** Every setting there is. */
export const settings = z.object({
  NODE_ENV: z.string().toLowerCase().default('development'),
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'a postgres:// URL', abort: true })
    .superRefine((url, context) => {
      const message = wrongTls(url)
      if (message) context.addIssue(message)
    })
    .optional(),
  PORT: wholeNumber(0, 65_535).default(3000),
  ROLE: z.enum(['all', 'web', 'worker'], 'all, web or worker').default('all'),
  ENCRYPTION_KEY: z
    .base64({ error: '32 bytes as base64 (openssl rand -base64 32)', abort: true })
    .refine(
      key => Buffer.from(key, 'base64').length === 32,
      '32 bytes as base64 (openssl rand -base64 32)',
    )
    .optional(),
  WHATSAPP_GRAPH_URL: httpUrl.default('https://graph.facebook.com'),
  WHATSAPP_GRAPH_VERSION: z
    .string()
    .regex(/^v\d+\.\d+$/, 'a version such as v26.0')
    .default('v26.0'),
  // Several Meta apps may post to one address.
  WHATSAPP_APP_SECRET: z
    .string()
    .transform(list =>
      list
        .split(',')
        .map(secret => secret.trim())
        .filter(Boolean),
    )
    .refine(secrets => secrets.length > 0, 'app secrets, separated by commas')
    .optional(),
  WHATSAPP_VERIFY_TOKEN: z.string().min(1).optional(),
  VOICENTER_API_URL: httpUrl.default('https://api.voicenter.com'),
  PUBLIC_URL: httpUrl.optional(),
  OPS_PASSWORD: z.string().min(1).optional(),
  // 9 in each process, so that two copies (a deploy runs the old and the new one for up to 30 s) fit
  // into the 20 connections of a small managed Postgres.
  DATABASE_CONNECTIONS: wholeNumber(7, 500).default(9),
  WORKER_CONCURRENCY: wholeNumber(1, 500).default(16),
  RETENTION_DAYS: wholeNumber(1, 36_500).default(90),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
})

export type Config = ReturnType<typeof readConfig>

/**
 * Reads and checks all settings at once.
 *
 * @throws StartupError that names every variable that is wrong or missing, and the expected value. It does not repeat
 * values, because some of them are secrets.
 */
export const readConfig = (env: Record<string, string | undefined>) => {
  // A variable set to nothing (`PORT= npm start`, an emptied config var) counts as not set.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''))
  const { data, error } = settings.safeParse(given)
  if (error)
    throw startupError(
      error.issues.map(issue => `${issue.path.join('.')}: expected ${issue.message}`).join('\n'),
    )
  const production = data.NODE_ENV === 'production'
  const needed = (['DATABASE_URL', 'ENCRYPTION_KEY'] as const).filter(name => !data[name])
  const missing = production ? needed.map(name => `${name}: must be set in production`) : []
  // One alone lets Meta in at one door and turns it away at the other, which shows days later.
  const pair = ['WHATSAPP_APP_SECRET', 'WHATSAPP_VERIFY_TOKEN'] as const
  const absent = pair.filter(name => !data[name])
  if (absent.length === 1)
    missing.push(`${absent[0]}: must be set too, or neither ${pair.join(' nor ')}`)
  if (missing.length) throw startupError(missing.join('\n'))
  return {
    ...data,
    production,
    PUBLIC_URL: data.PUBLIC_URL ?? `http://localhost:${data.PORT}`,
    ENCRYPTION_KEY: Buffer.from(data.ENCRYPTION_KEY ?? developmentKey(), 'base64'),
  }
}

/** Made once and kept, or the WhatsApp tokens of yesterday could not be read today. */
const developmentKey = (): string => {
  const file = `${dataFolder}encryption-key`
  mkdirSync(dataFolder, { recursive: true })
  try {
    writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    // Already there, perhaps since a moment ago: two processes may start at once.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return readFileSync(file, 'utf8')
}

let cached: Config | undefined

/** The settings of this process, read from the environment at the first call. */
export const config = (): Config => (cached ??= readConfig(process.env))

/** Reads the environment again. For tests that change it. */
export const reloadConfig = (): void => {
  cached = readConfig(process.env)
}
