-- select cancel_outreach(<missed call id>): an operator decides that this caller is not to be written
-- to. Answers what became of it:
--   'cancelled'          nothing had been sent, and nothing will be
--   'reminders stopped'  the first message is out or on its way; nothing follows it
--   'nothing to cancel'  it had ended already
--   null                 there is no such missed call
-- Removing the job alone would not do: the rows are the truth, and jobs are added again for rows that
-- are due. The lead is locked first, as by everything that claims or cancels, so that a message goes
-- out or is cancelled, never both.

create function cancel_outreach(missed_call bigint) returns text
language plpgsql as $$
declare
  call missed_calls;
begin
  perform from leads where id = (select lead_id from missed_calls where id = missed_call) for update;
  select * into call from missed_calls where id = missed_call for update;
  if not found then
    return null;
  end if;

  update messages m set state = 'cancelled', reason = 'by_operator'
  from lead_conversations c
  where c.missed_call_id = call.id and m.lead_conversation_id = c.id and m.state = 'scheduled';

  -- Ended because its message did not arrive: should that turn out to be wrong, it stays ended.
  update lead_conversations set reason = 'by_operator' where missed_call_id = call.id and reason = 'undeliverable';

  -- Ends the conversation also while its first message is being sent: recording that send looks here
  -- before it schedules reminders.
  update lead_conversations set state = 'stopped', reason = 'by_operator'
  where missed_call_id = call.id and state = 'open';
  if found then
    perform graphile_worker.remove_job('lead_reminder:' || c.id || ':' || n)
    from lead_conversations c, generate_series(1, 2) n where c.missed_call_id = call.id;
  elsif call.outreach_state <> 'scheduled' then
    return 'nothing to cancel';
  end if;

  if call.outreach_state <> 'scheduled' then
    return 'reminders stopped';
  end if;
  update missed_calls set outreach_state = 'cancelled', outreach_reason = 'by_operator' where id = call.id;
  perform graphile_worker.remove_job('lead_outreach:' || call.id);
  return 'cancelled';
end
$$;
