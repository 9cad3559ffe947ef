// Asio's one compilation: coupond_flags defines BOOST_ASIO_SEPARATE_COMPILATION for everything
// else.
#include <boost/asio/impl/src.hpp>
