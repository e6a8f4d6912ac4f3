#ifndef CREST_SANITIZED_LOCKS_H
#define CREST_SANITIZED_LOCKS_H
// Nothing to call: linking the target is what counts.
#endif
