// Days, weeks and months of time zones, by the calendar of Node.
//
//   periodOf('Europe/Berlin', 'week', ms)   names the one that a moment lies in, by its first date
//   endOf('Europe/Berlin', 'week', ms)      when it is over, as it is answered
//   quietZone()                             a zone where no day ends within six hours

export const pers = ['day', 'week', 'month'];

const formats = new Map();

/** The date that a clock in the zone shows, such as 2027-03-28. */
function dateIn(timeZone, ms) {
    if (!formats.has(timeZone)) {
        const parts = { year: 'numeric', month: '2-digit', day: '2-digit' };
        formats.set(timeZone, new Intl.DateTimeFormat('en-CA', { timeZone, ...parts }));
    }
    return formats.get(timeZone).format(ms);
}

const day = 86_400_000;

export function periodOf(timeZone, per, ms) {
    const date = dateIn(timeZone, ms);
    if (per === 'day') return date;
    if (per === 'month') return `${date.slice(0, 7)}-01`;
    const midnight = Date.parse(date);
    const sinceMonday = (new Date(midnight).getUTCDay() + 6) % 7;
    return new Date(midnight - sinceMonday * day).toISOString().slice(0, 10);
}

export function endOf(timeZone, per, ms) {
    const period = periodOf(timeZone, per, ms);
    let [within, beyond] = [ms, ms + 33 * day];
    while (beyond - within > 1) {
        const middle = Math.floor((within + beyond) / 2);
        if (periodOf(timeZone, per, middle) === period) within = middle;
        else beyond = middle;
    }
    return new Date(beyond).toISOString();
}

/** Days end at midnight of UTC, or at noon. */
export function quietZone() {
    const hour = new Date().getUTCHours();
    return hour >= 6 && hour < 18 ? 'UTC' : 'Etc/GMT+12';
}
