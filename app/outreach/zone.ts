import { IANAZone } from 'luxon'

const QUARTER = 15 * 60_000
/** Months of them: the oldest are not asked for again. */
const MOST = 20_000

/**
 * A time zone that remembers its offsets. luxon asks Intl anew each time, which takes as long as all the rest of a
 * decision. Clocks change on a quarter of an hour (in UTC), everywhere and since long before there were webhooks.
 */
class Zone extends IANAZone {
  readonly #offsets = new Map<number, number>()

  override offset(ms: number): number {
    const quarter = Math.floor(ms / QUARTER)
    const known = this.#offsets.get(quarter)
    if (known !== undefined) return known
    if (this.#offsets.size >= MOST) this.#offsets.clear()
    const offset = super.offset(ms)
    this.#offsets.set(quarter, offset)
    return offset
  }
}

const zones = new Map<string, Zone>()

/** @param timezone as `tenants.timezone` has it: Asia/Jerusalem */
export const zoneOf = (timezone: string): IANAZone => {
  const zone = zones.get(timezone) ?? new Zone(timezone)
  zones.set(timezone, zone)
  return zone
}
