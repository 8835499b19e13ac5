-- A call to a number that nobody had told us of is judged again once the number is added, and so is a
-- call-back from it, which may have reached the caller of a missed one. A trigger, so that it holds
-- whichever way the number comes: the command, the page, or plain SQL.

create function judge_unmatched_again() returns trigger
language plpgsql as $$
declare
  added_phone text := case tg_table_name
    when 'tenant_numbers' then to_jsonb(new) ->> 'phone'
    else to_jsonb(new) ->> 'display_phone_number' end;
  unmatched record;
begin
  for unmatched in
    select distinct call_id from raw_cdrs
    where (verdict = 'unmatched_number' or tenant_id is null)
      and business_phone = added_phone
      and (token_tenant_id is null or token_tenant_id = new.tenant_id)
    order by call_id
  loop
    perform assert_all_queued(1, (
      select count(j.id) from graphile_worker.add_job('voicenter_cdr',
        payload := json_build_object('callId', unmatched.call_id),
        max_attempts := 12,
        job_key := 'voicenter_cdr:' || unmatched.call_id) j));
  end loop;
  return null;
end
$$;

create trigger judge_unmatched_again after insert or update of phone on tenant_numbers
  for each row execute function judge_unmatched_again();
create trigger judge_unmatched_again after insert or update of display_phone_number on whatsapp_connections
  for each row execute function judge_unmatched_again();
