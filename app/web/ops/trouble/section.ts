import type { Trx } from '../../../db/kysely.ts'
import type { Html } from '../html.ts'
import type { Visit } from '../page.ts'

/** So much of a kind is shown and counted. */
export const SHOWN = 25

/** One kind of trouble. */
export type Section = {
  /** To be linked to: /ops/trouble#unknown */
  id: string
  title: string
  help: string
  /** How many things need somebody; at most SHOWN. */
  count: number
  /** There are more than are shown. */
  more: boolean
  body: Html
}

/** @param tenantId whose trouble; null = everybody's, and nobody's */
export type ShowSection = (trx: Trx, visit: Visit, tenantId: string | null) => Promise<Section>

/**
 * Of rows of which one too many was asked for.
 *
 * @param cut not everything was looked at, so there may be others
 */
export const counted = <Row>(rows: Row[], cut = false) => ({
  rows: rows.slice(0, SHOWN),
  count: Math.min(rows.length, SHOWN),
  more: cut || rows.length > SHOWN,
})
