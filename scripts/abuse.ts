/**
 * Abuse: a flood of requests without a valid credential while a real sender goes on posting, then hostile bodies
 * with a valid one. Nobody may be let in, nothing may be written or lost, and the program stays as it is.
 */
import { randomInt } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { flood } from './abuse/flood.ts'
import { hostile } from './abuse/bodies.ts'
import { count } from './abuse/sender.ts'
import type { Loot } from './abuse/attacks.ts'
import { setTarget } from './chaos/target.ts'
import { wholeNumber } from './flag_number.ts'

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

const HELP = `Usage: npm run abuse [-- options]

Starts the program with a Postgres of its own, floods it with requests that show no valid credential, then with hostile
bodies that do, and checks that nobody was let in and nothing was lost. Exit code 1 if a promise was not kept.

  --long            100,000 requests and 20,000 bodies, some ten minutes; without it 5,000 and 1,000
  --unauthorised N  how many requests without a credential
  --hostile N       how many hostile bodies
  --connections N   how many at once
  --seed N          the same again
  --help            this text`

const main = async () => {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      long: { type: 'boolean' },
      unauthorised: { type: 'string' },
      hostile: { type: 'string' },
      connections: { type: 'string' },
      seed: { type: 'string' },
    },
  })
  if (values.help) return console.log(HELP)
  const usual = values.long ? LONG : SHORT
  const number = (flag: 'unauthorised' | 'hostile' | 'connections' | 'seed', usual: number) =>
    values[flag] === undefined ? usual : wholeNumber(flag, values[flag])
  const found = await abuse({
    unauthorised: number('unauthorised', usual.unauthorised),
    hostile: number('hostile', usual.hostile),
    connections: number('connections', usual.connections),
    seed: number('seed', randomInt(1e9)),
  })
  process.exitCode = found ? 1 : 0
}
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
