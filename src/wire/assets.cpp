// The files that are served at /api and /api-json. CMakeLists.txt puts them into the binary.
#include <algorithm>
#include <array>
#include <cstddef>

#include "wire/wire.hpp"

// What the generated assets.S defines: a symbol at the start and one just after the end of each
// file.
#define COUPOND_ASSET(symbol)                                                                     \
    extern "C" const char coupond_asset_##symbol[];                                               \
    extern "C" const char coupond_asset_##symbol##_end[];                                         \
    namespace {                                                                                   \
    std::string_view symbol() {                                                                   \
        return {coupond_asset_##symbol,                                                           \
                static_cast<std::size_t>(coupond_asset_##symbol##_end - coupond_asset_##symbol)}; \
    }                                                                                             \
    }
COUPOND_ASSET(openapi_json)
COUPOND_ASSET(index_html)
COUPOND_ASSET(page_css)
COUPOND_ASSET(initializer_js)
COUPOND_ASSET(swagger_ui_css)
COUPOND_ASSET(swagger_ui_bundle_js)
COUPOND_ASSET(favicon_16_png)
COUPOND_ASSET(favicon_32_png)
COUPOND_ASSET(license)
COUPOND_ASSET(notice)
COUPOND_ASSET(bundle_license)
#undef COUPOND_ASSET

namespace coupond::wire {
namespace {

constexpr std::string_view html = "text/html; charset=utf-8";
constexpr std::string_view css = "text/css; charset=utf-8";
constexpr std::string_view javascript = "text/javascript; charset=utf-8";
constexpr std::string_view png = "image/png";
constexpr std::string_view text = "text/plain; charset=utf-8";

/// What the browser asks again each time, so that a new version's page shows at once; the files it
/// uses may be an hour old.
constexpr std::string_view always_ask = "no-cache";
constexpr std::string_view keep_an_hour = "public, max-age=3600";

/// The page uses our files only and talks to this server only. Swagger UI draws its icons from data
/// URLs.
constexpr std::string_view page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct Asset {
    std::string_view name;  ///< below /api/
    std::string_view (*content)();
    std::string_view content_type;
    std::string_view cache_control;
};

constexpr std::array assets{
    Asset{"", index_html, html, always_ask},
    Asset{"page.css", page_css, css, keep_an_hour},
    Asset{"initializer.js", initializer_js, javascript, keep_an_hour},
    Asset{"swagger-ui.css", swagger_ui_css, css, keep_an_hour},
    Asset{"swagger-ui-bundle.js", swagger_ui_bundle_js, javascript, keep_an_hour},
    Asset{"favicon-16x16.png", favicon_16_png, png, keep_an_hour},
    Asset{"favicon-32x32.png", favicon_32_png, png, keep_an_hour},
    Asset{"LICENSE", license, text, keep_an_hour},
    Asset{"NOTICE", notice, text, keep_an_hour},
    Asset{"swagger-ui-bundle.js.LICENSE.txt", bundle_license, text, keep_an_hour},
};

/// `content` is in the binary: where it is long, it is not copied whole for each client.
std::variant<std::string, BodySource> body_of(std::string_view content) {
    static constexpr std::size_t piece_bytes = 64 * 1024;
    if (content.size() <= piece_bytes) return std::string(content);
    return BodySource([content](std::string& out) mutable {
        out += content.substr(0, piece_bytes);
        content.remove_prefix(std::min(piece_bytes, content.size()));
        return content.empty() ? Rest::none : Rest::more;
    });
}

}  // namespace

Answer api_document() {
    Answer answer;
    answer.body = body_of(openapi_json());
    answer.cache_control = always_ask;
    return answer;
}

std::optional<Answer> api_page(std::string_view name) {
    const auto asset = std::ranges::find(assets, name, &Asset::name);
    if (asset == assets.end()) return std::nullopt;
    Answer answer;
    answer.body = body_of(asset->content());
    answer.content_type = asset->content_type;
    answer.cache_control = asset->cache_control;
    if (asset->content_type == html) answer.content_security_policy = page_policy;
    return answer;
}

}  // namespace coupond::wire
