"""Mutants of what operators see: metrics, alerts, and the story of a payment."""

from tests.mutants.mutant import SERVICE, one

METRICS = "services/chassis/telemetry/metrics.py"
SCRAPING = "services/chassis/http/scraping.py"
SAMPLING = "services/chassis/jobs/sampling.py"
SAMPLES = "services/chassis/kafka/samples.py"
SETTINGS = "services/chassis/settings.py"
UNSENT = "services/notification/emails/unsent.py"
RUNS = "services/chassis/jobs/runs.py"
STORY = "deploy/ops/why/story.py"
OF_METRICS = "tests/unit/test_metrics.py::test_"
OF_JOBS = f"{SERVICE}test_chassis_jobs.py::test_"
OF_WHY = "tests/unit/test_why.py::test_"

SIGNALS = (
    one(
        "e-mails that were not tried are the queue's matter",
        f"{SERVICE}test_notification_sending.py::test_an_email_that_is_tried_in_vain_shows_since_when",
        UNSENT,
        "state = 'due' AND attempts > 0",
        "state = 'due'",
    ),
    one(
        "the token of the metrics' page",
        f"{OF_METRICS}nobody_else_reads_it",
        SCRAPING,
        'if not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), wanted):',
        "if False:",
    ),
    one(
        "a bound on labels",
        f"{OF_METRICS}labels_have_a_bound",
        METRICS,
        "return values if values in known or len(known) < MOST_SETS else (OTHER,) * len(values)",
        "return values",
    ),
    one(
        "a reading that fails shows nothing",
        f"{SERVICE}test_metrics.py::test_a_reading_that_fails_shows_nothing",
        SAMPLING,
        "                gauge.show({})\n",
        "                pass\n",
    ),
    one(
        "the age of what waits goes on from what is applied",
        f"{OF_METRICS}the_age_of_a_lag_is_that_of_its_oldest_event",
        SAMPLES,
        "        while ends[0][1] <= lag.end - lag.waiting:\n",
        "        while False:\n",
    ),
    one(
        "no secret in the line of a start",
        "tests/unit/test_starting.py::test_no_secret_is_shown",
        SETTINGS,
        'return _QUERY.sub("", _USER.sub("", text)) if "//" in text else text',
        "return text",
    ),
    one(
        "a parked event is told before all else",
        f"{OF_WHY}a_parked_event_is_told_before_all_else",
        STORY,
        "    yield from _on_a_person(books)\n",
        "",
    ),
    one(
        "money at Stripe whose webhook did not come",
        f"{OF_WHY}the_answer",
        STORY,
        '    if at_stripe == "succeeded":\n',
        "    if False:\n",
    ),
    one(
        "programmers' numbers are no amounts",
        "tests/unit/test_chassis_money.py::test_a_spelling_that_only_a_programmer_knows_is_no_amount",
        "services/chassis/locale/money.py",
        "    if _NO_AMOUNT.search(bare):\n        return None\n",
        "",
    ),
    one(
        "a measure only once its batch has committed",
        f"{SERVICE}test_metrics.py::test_a_consumer_counts_what_it_applied_and_parked_and_measures_what_was_applied",
        "services/chassis/kafka/consume.py",
        "        self._measure(applied, parked)\n\n",
        "        self._measure([each.event for each in arrived], parked)\n\n",
    ),
    one(
        "runs that fail are counted on, whichever process ran them",
        f"{OF_JOBS}failed_runs_are_counted_over_all_processes_until_one_is_done",
        RUNS,
        "THEN 0 ELSE kept.failures + 1 END",
        "THEN 0 ELSE 1 END",
    ),
    one(
        "a job goes on where its run cannot be written down",
        f"{OF_JOBS}a_job_goes_on_where_its_run_cannot_be_written_down",
        RUNS,
        "        except Exception as failed:\n",
        "        except OSError as failed:\n",
    ),
    one(
        "a job that nobody runs is late",
        f"{OF_JOBS}a_job_that_nobody_runs_is_late_and_one_of_an_earlier_release_is_forgotten",
        RUNS,
        "return self.asked_at > self.next_at + LATE",
        "return False",
    ),
    one(
        "payment says that it goes without Stripe",
        f"{SERVICE}test_incidents.py::test_payment_says_for_a_minute_that_it_goes_without_stripe",
        "services/payment/app.py",
        '        needed={"kafka": events.check},\n        reported={STRIPE: stripe.check},\n',
        '        needed={"kafka": events.check},\n',
    ),
)
