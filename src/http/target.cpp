#include "http/target.hpp"

#include <algorithm>
#include <boost/url/grammar/ci_string.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/pct_string_view.hpp>
#include <cstddef>
#include <optional>

#include "base/text.hpp"

namespace coupond::http {
namespace {

namespace urls = boost::urls;

/// What is raw in a target. More than RFC 3986 lets stand unescaped (`|`, `[`, `"` …), because
/// browsers send it so.
bool is_fit(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

/// The part of an absolute-form target from its path on; nothing where it is no such target.
std::optional<std::string_view> without_authority(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.substr(colon, 3) != "://") return {};
    const std::string_view scheme = text.substr(0, colon);
    if (!urls::grammar::ci_is_equal(scheme, "http") &&
        !urls::grammar::ci_is_equal(scheme, "https")) {
        return {};
    }
    text.remove_prefix(colon + 3);
    const std::size_t end = std::min(text.find_first_of("/?"), text.size());
    const auto authority = urls::parse_authority(text.substr(0, end));
    if (authority.has_error() || authority->host().empty()) return {};
    return text.substr(end);
}

/// Appends `text` decoded; false where that cannot be or is no proper text.
bool append_decoded(std::string& out, std::string_view text, bool plus_is_space) {
    const auto escaped = urls::make_pct_string_view(text);
    if (escaped.has_error()) return false;
    const std::size_t before = out.size();
    escaped->decode(urls::encoding_opts(plus_is_space), urls::string_token::append_to(out));
    const std::string_view decoded = std::string_view(out).substr(before);
    return decoded.find('\0') == std::string_view::npos && examine_text(decoded).has_value();
}

bool parse_query(std::string_view text, wire::Query& query) {
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(pair.size() + 1, text.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        wire::QueryParam& param = query.emplace_back();
        if (!append_decoded(param.name, pair.substr(0, equals), true)) return false;
        if (equals == pair.size()) continue;
        if (!append_decoded(param.value, pair.substr(equals + 1), true)) return false;
    }
    return true;
}

}  // namespace

bool Target::parse(std::string_view text, wire::Query& query) {
    path_ = {};
    segments_.clear();
    query.clear();
    if (!is_fit(text)) return false;
    if (text == "*") {
        path_ = text;
        return true;
    }
    if (!text.starts_with('/')) {
        const std::optional<std::string_view> rest = without_authority(text);
        if (!rest) return false;
        text = *rest;
    }
    const std::size_t question = std::min(text.find('?'), text.size());
    path_ = question == 0 ? "/" : text.substr(0, question);
    if (!parse_segments()) return false;
    return question == text.size() || parse_query(text.substr(question + 1), query);
}

bool Target::parse_segments() {
    decoded_.clear();
    decoded_.reserve(path_.size());  // so that it never moves: decoding only shortens
    for (std::size_t begin = 1; begin <= path_.size();) {
        const std::size_t end = std::min(path_.find('/', begin), path_.size());
        std::string_view segment = path_.substr(begin, end - begin);
        if (segment.find('%') != std::string_view::npos) {
            const std::size_t before = decoded_.size();
            if (!append_decoded(decoded_, segment, false)) return false;
            segment = std::string_view(decoded_).substr(before);
        }
        segments_.push_back(segment);
        begin = end + 1;
    }
    return true;
}

}  // namespace coupond::http
