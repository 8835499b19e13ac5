/**
 * Abuse: a flood of requests without a valid credential while a real sender goes on posting, then hostile bodies
 * with a valid one. Nobody may be let in, nothing may be written or lost, and the program stays as it is.
 *
 *   node scripts/chaos/abuse.ts [--long] [--unauthorised N] [--hostile N] [--connections N] [--seed N]
 */
import { randomInt } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { flood } from './abuse_flood.ts'
import { hostile } from './abuse_hostile.ts'
import { count } from './abuse_sender.ts'
import type { Loot } from './attacks.ts'
import { setTarget } from './target.ts'

export type Plan = { unauthorised: number; hostile: number; connections: number; seed: number }
export const SHORT = { unauthorised: 5_000, hostile: 1_000, connections: 32 }
export const LONG = { unauthorised: 100_000, hostile: 20_000, connections: 32 }

/** Prints its ledger. @returns how many things were not as promised */
export const abuse = async (plan: Plan): Promise<number> => {
  console.log(`abuse                  seed ${plan.seed}`)
  const target = await setTarget()
  try {
    const shop = await target.addShop('Noa', '0722770001')
    const real = await target.addShop('Dan', '0722770002')
    const revoked = await target.addShop('Tamar', '0722770003')
    await target.query(
      `update webhook_tokens set revoked_at = now() where tenant_id = ${revoked.tenantId}`,
    )
    const loot: Loot = {
      ...shop,
      revoked: revoked.token,
      otherToken: real.token,
      appSecret: target.secrets.WHATSAPP_APP_SECRET,
      verifyToken: target.secrets.WHATSAPP_VERIFY_TOKEN,
    }
    const wrong = [
      ...(await flood(target, loot, real, plan)),
      ...(await hostile(target, shop, real, plan)),
    ]
    const kinds = new Map<string, number>()
    for (const what of wrong) count(kinds, what.replace(/ \(sha256.*/, ''))
    console.log(`violations             ${wrong.length}`)
    for (const [what, times] of kinds) console.log(`  ${times} x ${what}`)
    return wrong.length
  } finally {
    await target.clear()
  }
}

const main = async () => {
  const { values } = parseArgs({
    options: {
      long: { type: 'boolean' },
      unauthorised: { type: 'string' },
      hostile: { type: 'string' },
      connections: { type: 'string' },
      seed: { type: 'string' },
    },
  })
  const usual = values.long ? LONG : SHORT
  const number = (given: string | undefined, otherwise: number) => Number(given ?? otherwise)
  const found = await abuse({
    unauthorised: number(values.unauthorised, usual.unauthorised),
    hostile: number(values.hostile, usual.hostile),
    connections: number(values.connections, usual.connections),
    seed: number(values.seed ?? process.env['SEED'], randomInt(2 ** 31)),
  })
  process.exitCode = found ? 1 : 0
}
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
