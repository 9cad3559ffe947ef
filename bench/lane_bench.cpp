#include <cstdio>
#include <chrono>
#include <filesystem>
#include <random>
#include "engine/executor.hpp"
#include "store/sqlite/sqlite.hpp"
#include <ctime>
using namespace coupond;
static double cpu(clockid_t c){ timespec t; clock_gettime(c,&t); return t.tv_sec*1e6+t.tv_nsec/1e3; }
int main(int argc, char** argv){
  int total = argc>1?atoi(argv[1]):1000000; int batch = argc>2?atoi(argv[2]):256; int ops= argc>3?atoi(argv[3]):400000; std::string only=argc>4?argv[4]:"";
  std::filesystem::path dir="/work/lane_data"; bool fresh=!getenv("KEEP"); if(fresh)std::filesystem::remove_all(dir);
  sqlite::Database db(dir); db.migrate(); auto store=db.open_store(); SystemClock clock;
  auto run=[&](std::vector<Command>& cs){ std::vector<const Command*> p; for(auto&c:cs)p.push_back(&c); return execute(*store,clock,p); };
  std::vector<Command> cs; if(fresh)cs.push_back(CreateBook{"b","X{6}",std::nullopt,std::nullopt}); if(fresh)run(cs);
  auto code=[&](int i){ char t[24]; snprintf(t,24,"B-%08X",(unsigned)(i*2654435761u)); return std::string(t); };
  double c0=0,p0=0; auto t0=std::chrono::steady_clock::now();
  auto lap=[&](const char*n,int k){ auto t=std::chrono::steady_clock::now(); double s=std::chrono::duration<double>(t-t0).count(); double c1=cpu(CLOCK_THREAD_CPUTIME_ID),p1=cpu(CLOCK_PROCESS_CPUTIME_ID); printf("%-12s %8.0f/s  %.2fs  lane %.2f us/op, other %.2f us/op\n",n,k/s,s,(c1-c0)/k,(p1-p0-c1+c0)/k); c0=c1;p0=p1; fflush(stdout); t0=std::chrono::steady_clock::now(); };
  if(fresh)for(int b=0;b<total/100000;b++){ UploadCodes u; u.book_id=1; for(int i=0;i<100000;i++)u.codes.push_back(code(b*100000+i)); cs.clear(); cs.push_back(std::move(u)); auto r=run(cs); if(!r[0].outcome||!std::get_if<CodesUploaded>(&*r[0].outcome)) puts("bad"); }
  lap("upload",total);
  auto idx=[&](long i){ return int((i*618033l)%total); };
  auto phase=[&](const char*n,auto make){ if(!only.empty()&&only!=n)return; t0=std::chrono::steady_clock::now(); int bad=0; for(int i=0;i<ops;i+=batch){ cs.clear(); for(int k=0;k<batch;k++) cs.push_back(make(i+k)); auto r=run(cs); for(auto&x:r) if(!x.outcome||std::get_if<Refusal>(&*x.outcome)) bad++; } lap(n,ops); if(bad)printf("bad %d\n",bad); };
  auto user=[&](int i){ return "user-"+std::to_string(i); };
  phase("assign",[&](int i){return Command(AssignCode{code(idx(i)),user(i)});});
  phase("lock",[&](int i){return Command(LockCode{code(idx(i)),user(i),3600000});});
  phase("redeem",[&](int i){return Command(RedeemCode{code(idx(i)),user(i)});});
  phase("random",[&](int i){return Command(AssignAny{user(i),BookId(1)});});
}
