// Long work on the server, watched from here.
#pragma once

#include <string>

#include "ctl/session.hpp"

namespace coupond::ctl {

extern const Columns job_columns;

/// Whether a job, as JSON, has come to its end.
bool is_over(const boost::json::value& job);
bool is_completed(const boost::json::value& job);

/// Shows how far the job is until it is over, and prints it. Throws Quit where it did not complete;
/// where it is interrupted the job goes on, which is said.
void follow_job(Session& session, const std::string& id);

/// The id of the job that is answered with.
std::string job_id_of(const Answer& answer);

}  // namespace coupond::ctl
