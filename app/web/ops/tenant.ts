/** One business: every page of it, and everything that is done there. */
import { Router } from 'express'
import type { Trx } from '../../db/kysely.ts'
import { showTenant } from '../../tenants/tenants.ts'
import { attempt, type Refusal } from './attempt.ts'
import type { Page } from './layout.ts'
import { deed, ofTenant, page, type Visit } from './page.ts'
import { refuse } from './refuse.ts'
import { exporting } from './tenant/export.ts'
import { numbers } from './tenant/numbers.ts'
import { overview } from './tenant/overview.ts'
import { password } from './tenant/password.ts'
import { framed, NAMES, pathOf, type Section, type SectionName } from './tenant/section.ts'
import { settings } from './tenant/settings.ts'
import { templates } from './tenant/templates.ts'
import { webhook } from './tenant/webhook.ts'
import { whatsapp } from './tenant/whatsapp.ts'

const SECTIONS: Record<SectionName, Section> = {
  overview,
  settings,
  numbers,
  whatsapp,
  templates,
  webhook,
  password,
  export: exporting,
}
/**
 * A business does everything for itself but this. A number, also the one it writes from, decides whose calls
 * and replies are whose: whoever could enter any would be given those of a business that is not here yet, and
 * that a call to it came with the own token proves nothing, for the token's owner can report what she likes.
 * Nor does it end its own sign-in, since it could not undo that.
 */
const OPERATORS = ['numbers/add', 'numbers/remove', 'whatsapp/connect', 'password/end']

/** One page of a business; with a refusal, the form that was refused stands there again. */
export const tenantPage = async (
  trx: Trx,
  visit: Visit,
  tenantId: string,
  name: SectionName,
  refusal: Refusal | null = null,
): Promise<Page> => {
  const shown = await showTenant(trx, tenantId)
  const body = await SECTIONS[name].show({ trx, visit, shown, refusal })
  // What became of a test message shows by itself.
  return { ...framed(visit, shown, name, body), live: name === 'overview' && !refusal }
}

/** The business in the path; another one than the own is not there. */
const named = (visit: Visit): string => ofTenant(visit, visit.given['tenantId'] ?? '')

export const tenantPages = Router()

for (const name of NAMES) {
  const path = `/tenants/:tenantId/${name}`
  const shown = page((trx, visit) => tenantPage(trx, visit, named(visit), name))
  tenantPages.get(name === 'overview' ? ['/tenants/:tenantId', path] : path, shown)
  for (const [what, act] of Object.entries(SECTIONS[name].deeds)) {
    tenantPages.post(
      `${path}/${what}`,
      deed((trx, visit, form) => {
        const tenantId = named(visit)
        if (visit.own && OPERATORS.includes(`${name}/${what}`)) refuse(404)
        return attempt(
          trx,
          visit.language,
          async () => {
            const done = await act({ trx, visit, tenantId, form })
            return 'said' in done
              ? { said: done.said, to: pathOf(tenantId, name) }
              : framed(visit, await showTenant(trx, tenantId), name, done.once)
          },
          problems =>
            tenantPage(trx, visit, tenantId, name, { deed: what, problems, entered: form }),
        )
      }),
    )
    // Where a form stands again there is its address; asked for anew, it is the page it stands on.
    tenantPages.get(`${path}/${what}`, shown)
  }
}
