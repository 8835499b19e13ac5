/** The pages and actions of one tenant. */
import { Router } from 'express'
import type { Trx } from '../../db/kysely.ts'
import { showTenant } from '../../tenants/tenants.ts'
import type { Context } from './access.ts'
import { abort } from './errors.ts'
import { type FailedForm, handleForm, returnPath } from './forms.ts'
import type { Page } from './layout.ts'
import { action, allowedTenant, page } from './page.ts'
import type { Form } from './sign_in_form.ts'
import { events } from './tenant/events.ts'
import { exclusions } from './tenant/exclusions.ts'
import { exportSection } from './tenant/export.ts'
import { numbers } from './tenant/numbers.ts'
import { overview } from './tenant/overview.ts'
import { password } from './tenant/password.ts'
import {
  type Section,
  SECTION_NAMES,
  type SectionName,
  tenantLayout,
  tenantPath,
} from './tenant/section.ts'
import { settings } from './tenant/settings.ts'
import { templates } from './tenant/templates.ts'
import { webhook } from './tenant/webhook.ts'
import { whatsapp } from './tenant/whatsapp.ts'

const SECTIONS: Record<SectionName, Section> = {
  overview,
  settings,
  numbers,
  exclusions,
  whatsapp,
  templates,
  webhook,
  events,
  password,
  export: exportSection,
}

/**
 * Only the operator may do these. A number decides which tenant gets a call or a reply: a tenant that could enter
 * any number would get the calls of others. A call record with the tenant's own token proves nothing, because the
 * tenant can post any CDR. And a tenant that ended its own sign-in could not undo it.
 */
const OPERATOR_ACTIONS = ['numbers/add', 'numbers/remove', 'whatsapp/connect', 'password/end']

/** One page of a tenant. A form that failed is shown with its problems. */
export const tenantPage = async (
  trx: Trx,
  context: Context,
  tenantId: string,
  name: SectionName,
  failed: FailedForm | null = null,
): Promise<Page> => {
  const tenant = await showTenant(trx, tenantId)
  const body = await SECTIONS[name].show({ trx, context, tenant, failed })
  // The overview reloads to show the result of a test message.
  return { ...tenantLayout(context, tenant, name, body), live: name === 'overview' && !failed }
}

/** The checklist has buttons of other sections. After them it is shown again. */
const pathAfter = (form: Form, tenantId: string, name: SectionName): string => {
  const overview = tenantPath(tenantId, 'overview')
  const isChecklist = ['/ops/tenants', overview, `${overview}/overview`].includes(returnPath(form))
  return isChecklist ? overview : tenantPath(tenantId, name)
}

const tenantParam = (context: Context): string => allowedTenant(context, context.params['tenantId'])

export const tenantPages = Router()

for (const name of SECTION_NAMES) {
  const path = `/tenants/:tenantId/${name}`
  const show = page((trx, context) => tenantPage(trx, context, tenantParam(context), name))
  tenantPages.get(name === 'overview' ? ['/tenants/:tenantId', path] : path, show)
  for (const [actionName, act] of Object.entries(SECTIONS[name].actions)) {
    const { ask } = SECTIONS[name]
    const allowed = (context: Context): string => {
      if (context.tenantScope && OPERATOR_ACTIONS.includes(`${name}/${actionName}`)) abort(404)
      return tenantParam(context)
    }
    const prepare = async (context: Context, form: Form) => {
      const tenantId = allowed(context)
      return ask?.({ action: actionName, actor: context.signIn, tenantId, form })
    }
    const showAgain = (trx: Trx, context: Context, form: Form) =>
      tenantPage(trx, context, allowed(context), name, {
        action: actionName,
        problems: {},
        entered: form,
      })
    tenantPages.post(
      `${path}/${actionName}`,
      action(
        (trx, context, form, prepared) => {
          const tenantId = allowed(context)
          return handleForm(
            trx,
            context.language,
            async () => {
              const result = await act({ trx, context, tenantId, form, prepared })
              if ('flash' in result)
                return { flash: result.flash, to: pathAfter(form, tenantId, name) }
              if ('secret' in result)
                return { secret: result.secret, to: tenantPath(tenantId, name, actionName) }
              return tenantLayout(context, await showTenant(trx, tenantId), name, result.page)
            },
            problems =>
              tenantPage(trx, context, tenantId, name, {
                action: actionName,
                problems,
                entered: form,
              }),
          )
        },
        { prepare, showAgain },
      ),
    )
    // A failed form is shown at this address, so a reload must find a page here. The result may be here too.
    tenantPages.get(
      `${path}/${actionName}`,
      page(async (trx, context) => {
        const tenantId = tenantParam(context)
        const { once } = SECTIONS[name]
        if (!once || context.secret === null) return tenantPage(trx, context, tenantId, name)
        const tenant = await showTenant(trx, tenantId)
        const view = { trx, context, tenant, failed: null }
        return tenantLayout(context, tenant, name, once(view, actionName, context.secret))
      }),
    )
  }
}
