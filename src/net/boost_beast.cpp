// Beast's one compilation: coupond_flags defines BOOST_BEAST_SEPARATE_COMPILATION for everything
// else.
//
// Without Beast's own assertions: 1.81's chunk parser asserts that at least five bytes are there
// when it looks again for the end of the last chunk, while a client may well have sent only four
// (`0\r\n\r`); it handles that case properly otherwise, but the assertion would let anybody end the
// process.
#define BOOST_DISABLE_ASSERTS
#include <boost/beast/src.hpp>
