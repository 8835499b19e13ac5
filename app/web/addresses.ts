/** Limits by the address of a client. */
import { isIPv4, isIPv6 } from 'node:net'

/**
 * What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 address, because one customer of a provider
 * has at least that many. An IPv4 address inside an IPv6 one (::ffff:a.b.c.d, 64:ff9b::a.b.c.d) is an IPv4 address.
 *
 * @param address of the socket, or as a proxy wrote it: some add brackets or the port
 */
export const addressKey = (address = ''): string => {
  const text = address.replace(/^\[([^\]]*)\](:\d+)?$/, '$1').replace(/%.*$/, '')
  if (isIPv6(text)) {
    const groups = groupsOf(text)
    const start = groups.slice(0, 6).join(':')
    if (start === MAPPED || start === NAT64) return embeddedIPv4(groups)
    return `${groups
      .slice(0, 4)
      .map(group => group.toString(16))
      .join(':')}::/64`
  }
  const ipv4 = text.replace(/:\d+$/, '')
  // Anything else has one key, so that invented text neither avoids a limit nor takes memory.
  return isIPv4(ipv4) ? ipv4 : 'unknown'
}

const MAPPED = `0:0:0:0:0:${0xffff}`
const NAT64 = `${0x64}:${0xff9b}:0:0:0:0`

/** The eight groups of 16 bits. */
const groupsOf = (ipv6: string): number[] => {
  // URL writes every IPv6 address in one form, which has no dotted part.
  const { hostname } = new URL(`http://[${ipv6}]`)
  const [head = [], tail = []] = hostname
    .slice(1, -1)
    .split('::')
    .map(part => (part ? part.split(':').map(group => parseInt(group, 16)) : []))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0)
  return [...head, ...zeros, ...tail]
}

const embeddedIPv4 = (groups: number[]): string =>
  groups
    .slice(6)
    .flatMap(group => [group >> 8, group & 255])
    .join('.')

type Limits = {
  windowMs: number
  /** Beyond this number of addresses, the oldest window is forgotten. */
  addresses?: number
  now?: () => number
}

/**
 * Counts events of each address in windows of fixed length. It takes a bounded amount of memory, and no timer runs.
 * To make it forget a count, a client needs as many addresses as it remembers, and each of them could do as much anyway.
 */
export const addressCounter = (limits: Limits) => {
  const counter = keyCounter(limits)
  return {
    /** How many events of this address are in its window. */
    count: (address: string | undefined): number => counter.count(addressKey(address)),
    /** Adds one event. @returns the new count */
    add: (address: string | undefined): number => counter.add(addressKey(address)),
  }
}

/** The same for keys of any kind. */
export const keyCounter = ({
  windowMs,
  addresses = 10_000,
  now = () => performance.now(),
}: Limits) => {
  /** By start of the window, oldest first. */
  const windows = new Map<string, { count: number; until: number }>()
  const find = (key: string) => {
    const window = windows.get(key)
    return window && now() < window.until ? window : null
  }
  return {
    count: (key: string): number => find(key)?.count ?? 0,
    add: (key: string): number => {
      const window = find(key)
      if (window) return ++window.count
      windows.delete(key)
      for (const oldest of windows.keys()) {
        if (windows.size < addresses) break
        windows.delete(oldest)
      }
      windows.set(key, { count: 1, until: now() + windowMs })
      return 1
    },
  }
}
