#include "domain/code_space.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace coupond {
namespace {

bool is_prime(unsigned number) {
    for (unsigned by = 2; by * by <= number; ++by) {
        if (number % by == 0) return false;
    }
    return true;
}

unsigned lowest_odd_prime_from(std::size_t number) {
    unsigned prime = std::max<unsigned>(3, static_cast<unsigned>(number));
    while (!is_prime(prime)) ++prime;
    return prime;
}

/// What a number, not 0, has to be multiplied with to become 1.
unsigned inverse(unsigned number, unsigned modulus) {
    unsigned inverse = 1;
    while (inverse * number % modulus != 1) ++inverse;
    return inverse;
}

}  // namespace

CodeSpace::CodeSpace(const CodePattern& pattern) {
    for (const CodePattern::Part& part : pattern.parts) {
        if (!part.literal.empty()) places_.push_back({part.literal, {}});
        for (std::size_t i = 0; i < part.random; ++i) places_.push_back({{}, part.alphabet});
        if (part.check) places_.push_back({{}, {}, true});
    }
    weigh();
    for (auto place = places_.rbegin(); place != places_.rend(); ++place) {
        if (place->alphabet.empty() || place->check) continue;
        place->drawn = numbers_ > most / place->alphabet.size();
        if (place->drawn) break;
        numbers_ *= place->alphabet.size();
    }
    const auto drawn = std::ranges::find(places_, true, &Place::drawn);
    for (auto place = places_.begin(); drawn != places_.end() && place <= drawn; ++place) {
        place->drawn = !place->alphabet.empty() && !place->check;
    }
    codes_ = count();
}

/// Gives the places their weights and values, where there is a check character.
void CodeSpace::weigh() {
    const auto check = std::ranges::find(places_, true, &Place::check);
    if (check == places_.end()) return;
    Alphabet& all = check->alphabet;
    for (const Place& place : places_) {
        if (!place.check) all.insert(all.end(), place.alphabet.begin(), place.alphabet.end());
    }
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    modulus_ = lowest_odd_prime_from(all.size());
    unsigned weight = 1;
    for (auto place = places_.rbegin(); place != places_.rend(); ++place) {
        if (place->alphabet.empty()) continue;
        place->weight = weight;
        weight = weight * 2 % modulus_;
        for (const std::string& symbol : place->alphabet) {
            const auto at = std::ranges::lower_bound(all, symbol);
            place->values.push_back(static_cast<unsigned>(at - all.begin()));
        }
    }
    check_inverse_ = inverse(check->weight, modulus_);
}

CodeSpace::Number CodeSpace::count() const {
    // By what the random characters before sum up to.
    std::vector<Number> ways(std::max(1U, modulus_));
    ways[0] = 1;
    const auto add = [](Number& sum, Number more) { sum = std::min(most, sum + more); };
    for (const Place& place : places_) {
        if (place.alphabet.empty() || place.check) continue;
        std::vector<Number> next(ways.size());
        for (std::size_t sum = 0; sum < ways.size(); ++sum) {
            for (std::size_t i = 0; i < place.alphabet.size(); ++i) {
                const std::size_t value = modulus_ == 0 ? 0 : place.values[i] * place.weight;
                add(next[(sum + value) % ways.size()], ways[sum]);
            }
        }
        ways = std::move(next);
    }
    if (modulus_ == 0) return ways[0];
    const auto check = std::ranges::find(places_, true, &Place::check);
    Number codes = 0;
    for (const unsigned value : check->values) {
        add(codes, ways[(1 + modulus_ * modulus_ - value * check->weight) % modulus_]);
    }
    return codes;
}

std::optional<std::string> CodeSpace::code(Number number, const Draw& draw) const {
    COUPOND_CHECK(number < numbers_);
    std::vector<std::string_view> texts(places_.size());
    unsigned sum = 0;
    std::size_t check = places_.size();
    for (std::size_t i = places_.size(); i-- > 0;) {
        const Place& place = places_[i];
        if (place.check) check = i;
        if (place.check || place.alphabet.empty()) {
            texts[i] = place.literal;
            continue;
        }
        const std::size_t size = place.alphabet.size();
        const auto symbol = static_cast<std::size_t>(place.drawn ? draw(size) : number % size);
        if (!place.drawn) number /= size;
        texts[i] = place.alphabet[symbol];
        if (modulus_ != 0) sum += place.values[symbol] * place.weight;
    }
    if (check < places_.size()) {
        const unsigned value = (modulus_ + 1 - sum % modulus_) * check_inverse_ % modulus_;
        if (value >= places_[check].alphabet.size()) return std::nullopt;
        texts[check] = places_[check].alphabet[value];
    }
    std::string code;
    for (const std::string_view text : texts) code += text;
    return code;
}

bool CodeSpace::contains(std::string_view code) const {
    unsigned sum = 0;
    for (const Place& place : places_) {
        if (place.alphabet.empty()) {
            if (!code.starts_with(place.literal)) return false;
            code.remove_prefix(place.literal.size());
            continue;
        }
        // No character's bytes begin with those of another one (RFC 3629).
        const auto symbol = std::ranges::find_if(
            place.alphabet, [&](const std::string& one) { return code.starts_with(one); });
        if (symbol == place.alphabet.end()) return false;
        code.remove_prefix(symbol->size());
        if (modulus_ != 0) {
            sum += place.values[static_cast<std::size_t>(symbol - place.alphabet.begin())] *
                   place.weight;
        }
    }
    return code.empty() && (modulus_ == 0 || sum % modulus_ == 1 % modulus_);
}

}  // namespace coupond
