import type pg from 'pg'
import { type Config, config } from '../config.ts'
import { log } from '../log.ts'
import { startupError } from '../errors.ts'
import { heldBy } from './shares.ts'

/** Superusers are held to no limit of role or database. */
const ROOM = `
  select 'the server has' as who, current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int as room
  union all
  select format('role %s has', rolname), rolconnlimit from pg_roles
  where rolname = session_user and rolconnlimit >= 0 and not rolsuper
  union all
  select format('database %s has', datname), datconnlimit from pg_database
  where datname = current_database() and datconnlimit >= 0
    and not (select rolsuper from pg_roles where rolname = session_user)
  order by room limit 1`

type Room = { who: string; room: number }

/** How many connections there may be at most, and what limits them. */
export const roomFor = async (session: pg.Client): Promise<Room> => {
  const { rows } = await session.query<Room>(ROOM)
  return rows[0] ?? { who: 'the server has', room: Infinity }
}

/** Looks whether a copy can hold all connections that it will, and tells where a second one could not. */
export const connectionsSuffice = async (session: pg.Client): Promise<void> => {
  const { enough, message } = suffices(await roomFor(session), config)
  if (!enough) throw startupError(message)
  if (message) log.warn(message)
}

/** Whether one copy has enough of them, and what to say where it has not, or where two copies have not. */
export const suffices = (
  { who, room }: Room,
  { ROLE, DATABASE_CONNECTIONS: each }: Pick<Config, 'ROLE' | 'DATABASE_CONNECTIONS'>,
): { enough: boolean; message: string } => {
  const needed = heldBy(ROLE, each)
  const instead = 'raise that limit, or set DATABASE_CONNECTIONS lower (the least is 7)'
  if (room < needed)
    return {
      enough: false,
      message: `${who} room for ${room} connections, and DATABASE_CONNECTIONS=${each} needs ${needed} (ROLE=${ROLE}): ${instead}`,
    }
  if (room < 2 * each)
    return {
      enough: true,
      message: `two copies of ${each} connections, as during a deploy, need ${2 * each}, and ${who} room for ${room}: ${instead}`,
    }
  return { enough: true, message: '' }
}
