// libpq, loaded when it is needed: coupond runs without it where SQLite is the database.
#pragma once

#include <libpq-fe.h>

namespace coupond::postgres {

#define COUPOND_LIBPQ_FUNCTIONS(X) \
    X(PQbackendPID)                \
    X(PQclear)                     \
    X(PQcmdStatus)                 \
    X(PQcmdTuples)                 \
    X(PQconnectPoll)               \
    X(PQconnectStartParams)        \
    X(PQconninfoFree)              \
    X(PQconninfoParse)             \
    X(PQconsumeInput)              \
    X(PQenterPipelineMode)         \
    X(PQerrorMessage)              \
    X(PQexitPipelineMode)          \
    X(PQfinish)                    \
    X(PQflush)                     \
    X(PQfreemem)                   \
    X(PQgetResult)                 \
    X(PQgetisnull)                 \
    X(PQgetlength)                 \
    X(PQgetvalue)                  \
    X(PQisBusy)                    \
    X(PQisthreadsafe)              \
    X(PQntuples)                   \
    X(PQpipelineSync)              \
    X(PQputCopyData)               \
    X(PQputCopyEnd)                \
    X(PQresultErrorField)          \
    X(PQresultStatus)              \
    X(PQsendPrepare)               \
    X(PQsendQuery)                 \
    X(PQsendQueryParams)           \
    X(PQsendQueryPrepared)         \
    X(PQsetNoticeReceiver)         \
    X(PQsetnonblocking)            \
    X(PQsocket)                    \
    X(PQstatus)

/// Its functions, under their own names.
struct Libpq {
#define COUPOND_LIBPQ_MEMBER(name) decltype(&::name) name = nullptr;
    COUPOND_LIBPQ_FUNCTIONS(COUPOND_LIBPQ_MEMBER)
#undef COUPOND_LIBPQ_MEMBER
};

/// Loads it at the first call, for as long as the process runs. Throws OpenError where it is not
/// installed or is not fit for threads.
const Libpq& libpq();

}  // namespace coupond::postgres
