#include "domain/remember.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include "base/check.hpp"

namespace coupond {
namespace {

// One field a line, for none of the texts has a line break in it, but for the last one: first the
// kind, then what it has.
// An optional field that is missing is an empty line.

class Writer {
public:
    explicit Writer(std::string_view kind) : text_(kind) {}

    void add(std::string_view field) { text_.append("\n").append(field); }
    void add(std::int64_t number) { add(std::string_view(std::to_string(number))); }
    void add(Timestamp at) { add(at.ms); }
    void add(const std::string& text) { add(std::string_view(text)); }
    template <class T>
    void add(const std::optional<T>& value) {
        value ? add(*value) : add(std::string_view());
    }
    /// Of another one, whose kind is empty.
    void append(std::string_view fields) { text_ += fields; }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

class Reader {
public:
    explicit Reader(std::string_view text) : left_(text) {}

    std::string text() {
        const std::size_t end = std::min(left_.find('\n'), left_.size());
        std::string field(left_.substr(0, end));
        left_.remove_prefix(std::min(end + 1, left_.size()));
        return field;
    }
    std::optional<std::int64_t> optional_number() {
        const std::string field = text();
        if (field.empty()) return std::nullopt;
        std::int64_t number = 0;
        const auto read = std::from_chars(field.data(), field.data() + field.size(), number);
        sound_ = sound_ && read.ec == std::errc() && read.ptr == field.data() + field.size();
        return number;
    }
    std::int64_t number() {
        const auto number = optional_number();
        sound_ = sound_ && number.has_value();
        return number.value_or(0);
    }
    Timestamp time() { return {number()}; }
    std::optional<Timestamp> optional_time() {
        const auto ms = optional_number();
        return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
    }
    /// The next so many fields, to be read by another one.
    Reader cut(std::int64_t fields) {
        std::size_t end = 0;
        for (; fields > 0 && end <= left_.size(); --fields) {
            end = std::min(left_.find('\n', end), left_.size()) + 1;
        }
        Reader cut(left_.substr(0, std::max<std::size_t>(end, 1) - 1));
        left_.remove_prefix(std::min(end, left_.size()));
        return cut;
    }
    /// All that is left.
    std::string_view rest() { return std::exchange(left_, {}); }
    bool at_end() const { return left_.empty(); }
    void fail() { sound_ = false; }
    /// Whether all that was read was there, and nothing is left.
    bool sound() const { return sound_ && left_.empty(); }

private:
    std::string_view left_;
    bool sound_ = true;
};

/// The last field, for it has lines of its own.
void add_book(Writer& writer, const Book& book) {
    writer.add(book.id);
    writer.add(change_text(nullptr, book));
}

Book read_book(Reader& reader) {
    const BookId id = reader.number();
    auto change = read_book_change(reader.rest());
    if (!change) {
        reader.fail();
        return {};
    }
    change->after.id = id;
    return std::move(change->after);
}

void add_code(Writer& writer, const Code& code) {
    writer.add(code.shown_id());
    writer.add(code.book_id);
    writer.add(std::string_view(code.code));
    writer.add(code.lock ? std::optional(code.lock->until) : std::nullopt);
    writer.add(code.redeemed_at);
    writer.add(code.created_at);
    writer.add(change_text({}, code));
}

void add_money(Writer& writer, const std::optional<Money>& money) {
    writer.add(money ? std::optional(money->amount) : std::nullopt);
    writer.add(money && money->currency ? money->currency->code() : std::string_view());
}

std::optional<Money> read_money(Reader& reader) {
    const auto amount = reader.optional_number();
    const std::string code = reader.text();
    if (!amount) return std::nullopt;
    const auto currency = Currency::find(code);
    if (!code.empty() && !currency) reader.fail();
    return Money{*amount, currency};
}

Code read_code(Reader& reader, const std::optional<std::string>& holder) {
    Code code;
    code.id = reader.number();
    code.book_id = reader.number();
    code.code = reader.text();
    code.assigned_to = holder;
    if (const auto until = reader.optional_time()) code.lock = Lock{holder.value_or(""), *until};
    code.redeemed_at = reader.optional_time();
    code.created_at = reader.time();
    const auto change = read_code_change(reader.rest());
    if (!change) reader.fail();
    static_cast<CodeSettings&>(code) = change.value_or(CodeChange()).after;
    return code;
}

void add_redemption(Writer& writer, const Redemption& redemption) {
    const auto& order = redemption.order;
    writer.add(redemption.id);
    writer.add(redemption.at);
    writer.add(redemption.given_back);
    writer.add(order ? order->id : std::nullopt);
    add_money(writer, order ? std::optional(Money{order->amount, order->currency}) : std::nullopt);
    add_money(writer, redemption.discount);
}

void add_job(Writer& writer, const Job& job) {
    writer.add(job.id);
    writer.add(job.book_id);
    writer.add(std::string_view(job.code_pattern));
    writer.add(static_cast<std::int64_t>(job.status));
    writer.add(job.requested);
    writer.add(job.created);
    writer.add(std::bit_cast<std::int64_t>(job.guess_probability));
    writer.add(job.created_at);
    writer.add(job.started_at);
    writer.add(job.finished_at);
    writer.add(std::string_view(job.error));
    writer.add(change_text({}, job.settings));
}

Job read_job(Reader& reader) {
    Job job;
    job.id = reader.number();
    job.book_id = reader.number();
    job.code_pattern = reader.text();
    const std::int64_t status = reader.number();
    if (status < 0 || status > static_cast<std::int64_t>(last_job_status)) reader.fail();
    job.status = static_cast<Job::Status>(status);
    job.requested = reader.number();
    job.created = reader.number();
    job.guess_probability = std::bit_cast<double>(reader.number());
    job.created_at = reader.time();
    job.started_at = reader.optional_time();
    job.finished_at = reader.optional_time();
    job.error = reader.text();
    const auto change = read_code_change(reader.rest());
    if (!change) reader.fail();
    job.settings = change.value_or(CodeChange()).after;
    return job;
}

/// Of one that does not make codes.
Job read_other_job(Reader& reader) {
    Job details;
    if (!read_details(reader.text(), details)) reader.fail();
    Job job = read_job(reader);
    job.import = std::move(details.import);
    job.images = std::move(details.images);
    return job;
}

CodesGenerated read_codes_generated(Reader& reader, const AddGenerated& asked) {
    CodesGenerated answer;
    answer.guess_probability = std::bit_cast<double>(reader.number());
    answer.added.first_id = reader.number();
    answer.added.created_at = reader.time();
    for (std::int64_t left = reader.number(); left > 0 && !reader.at_end(); --left) {
        answer.added.codes.push_back(reader.text());
    }
    answer.added.settings = asked.asked.wish;
    answer.added.settings.expires_at = reader.optional_time();
    answer.added.book = read_book(reader);
    return answer;
}

Redemption read_redemption(Reader& reader) {
    Redemption redemption;
    redemption.id = reader.number();
    redemption.at = reader.time();
    redemption.given_back = reader.number();
    const std::string order_id = reader.text();
    const std::optional<Money> price = read_money(reader);
    if (price && price->currency) {
        redemption.order = Order{order_id, price->amount, *price->currency};
    }
    redemption.discount = read_money(reader);
    return redemption;
}

void complete(Redemption& redemption, const Code& code) {
    redemption.code_id = code.id;
    redemption.code = code.code;
    redemption.book_id = code.book_id;
    redemption.user_id = code.assigned_to.value_or("");
}

CodeRedeemed read_redeemed(Reader& reader, const std::optional<std::string>& user_id) {
    CodeRedeemed answer;
    answer.replayed = reader.number() != 0;
    answer.redemption = read_redemption(reader);
    answer.code = read_code(reader, user_id);
    complete(answer.redemption, answer.code);
    return answer;
}

CodesRedeemed read_codes_redeemed(Reader& reader, const std::optional<std::string>& user_id) {
    CodesRedeemed answer;
    answer.replayed = reader.number() != 0;
    while (!reader.at_end()) {
        Redemption& redemption = answer.redemptions.emplace_back(read_redemption(reader));
        Reader of_code = reader.cut(reader.number());
        answer.codes.push_back(read_code(of_code, user_id));
        if (!of_code.sound()) reader.fail();
        complete(redemption, answer.codes.back());
    }
    return answer;
}

struct Rememberer {
    std::string operator()(Refusal refusal) const {
        Writer writer("refusal");
        writer.add(to_string(refusal));
        return writer.take();
    }
    std::string operator()(const BookCreated& outcome) const {
        Writer writer("book_created");
        add_book(writer, outcome.book);
        return writer.take();
    }
    std::string operator()(const BookChanged& outcome) const {
        Writer writer(outcome.restored ? "book_restored" : "book_changed");
        add_book(writer, outcome.book);
        return writer.take();
    }
    std::string operator()(const Contradicted& outcome) const {
        Writer writer("contradicted");
        for (const Fault fault : outcome.faults) writer.add(static_cast<std::int64_t>(fault));
        return writer.take();
    }
    std::string operator()(const CodesUploaded& outcome) const {
        Writer writer("codes_uploaded");
        writer.add(outcome.first_id);
        writer.add(outcome.created_at);
        add_book(writer, outcome.book);
        return writer.take();
    }
    std::string operator()(const JobChanged& outcome) const {
        const auto details = details_text(outcome.job);
        const bool is_new = outcome.is_new;
        Writer writer(outcome.job.import   ? is_new ? "import_begun" : "import_changed"
                      : outcome.job.images ? is_new ? "images_begun" : "images_changed"
                      : is_new             ? "job_begun"
                                           : "job_changed");
        if (details) writer.add(*details);
        add_job(writer, outcome.job);
        return writer.take();
    }
    /// With the codes, which the request does not say.
    std::string operator()(const CodesGenerated& outcome) const {
        Writer writer("codes_generated");
        writer.add(std::bit_cast<std::int64_t>(outcome.guess_probability));
        writer.add(outcome.added.first_id);
        writer.add(outcome.added.created_at);
        writer.add(std::ssize(outcome.added.codes));
        for (const std::string& code : outcome.added.codes) writer.add(std::string_view(code));
        writer.add(outcome.added.settings.expires_at);
        add_book(writer, outcome.added.book);
        return writer.take();
    }
    std::string operator()(const CodeAssigned& outcome) const {
        Writer writer("code_assigned");
        add_code(writer, outcome.code);
        return writer.take();
    }
    std::string operator()(const CodeLocked& outcome) const {
        Writer writer("code_locked");
        writer.add(outcome.until);
        return writer.take();
    }
    std::string operator()(const CodeRedeemed& outcome) const {
        Writer writer("redeemed");
        writer.add(static_cast<std::int64_t>(outcome.replayed));
        add_redemption(writer, outcome.redemption);
        add_code(writer, outcome.code);
        return writer.take();
    }
    std::string operator()(const CodeRefused& outcome) const {
        Writer writer("code_refused");
        writer.add(to_string(outcome.refusal));
        writer.add(outcome.code);
        return writer.take();
    }
    std::string operator()(const CodesLocked& outcome) const {
        Writer writer("codes_locked");
        for (const auto& lock : outcome.locks) {
            writer.add(lock.code);
            writer.add(lock.until);
        }
        return writer.take();
    }
    std::string operator()(const CodesRedeemed& outcome) const {
        Writer writer("codes_redeemed");
        writer.add(static_cast<std::int64_t>(outcome.replayed));
        for (std::size_t i = 0; i < outcome.codes.size(); ++i) {
            Writer code("");
            add_code(code, outcome.codes[i]);
            const std::string text = code.take();
            add_redemption(writer, outcome.redemptions[i]);
            writer.add(std::ranges::count(text, '\n'));
            writer.append(text);
        }
        return writer.take();
    }
    std::string operator()(const RolledBack& outcome) const {
        Writer writer("rolled_back");
        writer.add(outcome.redemption.id);
        writer.add(outcome.redemption.given_back);
        writer.add(outcome.redemption.rolled_back_at);
        return writer.take();
    }
    std::string operator()(const CodeChanged& outcome) const {
        Writer writer("code_changed");
        add_code(writer, outcome.code);
        return writer.take();
    }
    std::string operator()(const CodeUnlocked&) const { return Writer("code_unlocked").take(); }
    std::string operator()(const CodeUnassigned& outcome) const {
        Writer writer("code_unassigned");
        add_code(writer, outcome.code);
        return writer.take();
    }
    std::string operator()(const UserErased&) const { return Writer("user_erased").take(); }
    std::string operator()(const DraftOutdated&) const {
        check_failed("what was done", __FILE__, __LINE__);
    }
    std::string operator()(const JobTaken&) const {
        check_failed("what was done", __FILE__, __LINE__);
    }
    std::string operator()(const AddingElsewhere&) const {
        check_failed("what was done", __FILE__, __LINE__);
    }
    std::string operator()(const TooManyJobs&) const {
        check_failed("what was done", __FILE__, __LINE__);
    }
    std::string operator()(const PartsRemoved&) const {
        check_failed("what was done", __FILE__, __LINE__);
    }
    std::string operator()(const Replayed&) const {
        check_failed("the first outcome", __FILE__, __LINE__);
    }
};

std::optional<std::string> user_of(const Command& command) {
    return std::visit(
        [](const auto& asked) -> std::optional<std::string> {
            if constexpr (requires { asked.user_id; }) {
                return asked.user_id;
            } else {
                return std::nullopt;
            }
        },
        command);
}

std::optional<FirstOutcome> read(Reader& reader, const Command& command) {
    const std::string kind = reader.text();
    if (kind == "refusal") return refusal_of(reader.text());
    if (kind == "book_created") return BookCreated{read_book(reader)};
    if (kind == "book_changed") return BookChanged{read_book(reader)};
    if (kind == "book_restored") return BookChanged{read_book(reader), true};
    if (kind == "contradicted") {
        Contradicted told;
        while (!reader.at_end()) {
            const std::int64_t fault = reader.number();
            if (fault < 0 || fault > static_cast<std::int64_t>(last_fault)) return std::nullopt;
            told.faults.push_back(static_cast<Fault>(fault));
        }
        return told;
    }
    if (kind == "codes_uploaded") {
        const auto* const upload = std::get_if<UploadCodes>(&command);
        if (upload == nullptr) return std::nullopt;
        CodesUploaded uploaded;
        uploaded.first_id = reader.number();
        uploaded.created_at = reader.time();
        uploaded.book = read_book(reader);
        uploaded.codes = upload->codes;
        return uploaded;
    }
    if (kind == "job_begun") return JobChanged{read_job(reader), true};
    if (kind == "job_changed") return JobChanged{read_job(reader)};
    if (kind == "import_begun" || kind == "images_begun") {
        return JobChanged{read_other_job(reader), true};
    }
    if (kind == "import_changed" || kind == "images_changed") {
        return JobChanged{read_other_job(reader)};
    }
    if (kind == "codes_generated") {
        const auto* const asked = std::get_if<AddGenerated>(&command);
        if (asked == nullptr) return std::nullopt;
        return read_codes_generated(reader, *asked);
    }
    if (kind == "code_assigned") return CodeAssigned{read_code(reader, user_of(command))};
    if (kind == "code_locked") return CodeLocked{reader.time()};
    if (kind == "redeemed") return read_redeemed(reader, user_of(command));
    if (kind == "code_refused") {
        const auto refusal = refusal_of(reader.text());
        if (!refusal) return std::nullopt;
        return CodeRefused{*refusal, reader.text()};
    }
    if (kind == "codes_locked") {
        CodesLocked answer;
        while (!reader.at_end()) {
            std::string code = reader.text();
            answer.locks.push_back({std::move(code), reader.time()});
        }
        return answer;
    }
    if (kind == "codes_redeemed") return read_codes_redeemed(reader, user_of(command));
    if (kind == "rolled_back") {
        RolledBack answer;
        answer.redemption.id = reader.number();
        answer.redemption.given_back = reader.number();
        answer.redemption.rolled_back_at = reader.optional_time();
        return answer;
    }
    if (kind == "code_changed") return CodeChanged{read_code(reader, std::nullopt)};
    if (kind == "code_unlocked") return CodeUnlocked{};
    if (kind == "code_unassigned") return CodeUnassigned{read_code(reader, std::nullopt)};
    if (kind == "user_erased") return UserErased{};
    return std::nullopt;
}

}  // namespace

std::string remember(const Outcome& outcome) {
    return std::visit(Rememberer{}, outcome);
}

std::optional<FirstOutcome> recall(std::string_view text, const Command& command) {
    Reader reader(text);
    std::optional<FirstOutcome> outcome = read(reader, command);
    return reader.sound() ? outcome : std::nullopt;
}

}  // namespace coupond
