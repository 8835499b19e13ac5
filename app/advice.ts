import type { Config } from './config.ts'
import { isInClear } from './db/tls.ts'

/** What is set in a way that works, but hardly as it was meant. Told at every start, since nothing else would tell. */
export const configWarnings = (config: Config): string[] => {
  if (!config.production) return []
  const lines: string[] = []
  if (config.ROLE !== 'worker') {
    const { protocol, hostname } = new URL(config.PUBLIC_URL)
    if (/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname))
      lines.push('PUBLIC_URL is this machine: the webhook URLs that are printed lead nowhere')
    else if (protocol === 'http:')
      lines.push('PUBLIC_URL is not https: Meta posts to https only, and tokens travel in clear')
    if (config.OPS_PASSWORD && config.OPS_PASSWORD.length < 16)
      lines.push(
        'OPS_PASSWORD is short: it is all that stands before every business (openssl rand -hex 24)',
      )
    if (!config.WHATSAPP_APP_SECRET)
      lines.push(
        'WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN are not set: replies are not heard, and no reminder is sent',
      )
  }
  if (config.DATABASE_URL && isInClear(config.DATABASE_URL))
    lines.push('DATABASE_URL has sslmode=disable: phone numbers and texts travel in clear')
  return lines
}
