// ROOT reads every branch: minimum, maximum and largest multiplicity.
//     read_root frame|loop THREADS REPETITIONS FILE...
// frame: RDataFrame, one typed Aggregate a branch, implicit multi-threading. loop: TBranch::GetEntry, column after
// column, a thread a file. Prints a JSON line a repetition, and at last the results. The first pass is not counted.
#include <ROOT/RDataFrame.hxx>
#include <TBranch.h>
#include <TFile.h>
#include <TLeaf.h>
#include <TROOT.h>
#include <TTree.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct Extremes {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  long width = 1;
  void add(const Extremes &other) {
    low = std::min(low, other.low), high = std::max(high, other.high), width = std::max(width, other.width);
  }
};
using Results = std::map<std::string, Extremes>;

template <class T> struct Scalar {
  void operator()(Extremes &into, const T &value) const {
    double x = value;
    if (x < into.low) into.low = x;
    if (x > into.high) into.high = x;
  }
};

template <class T> struct Jagged {
  void operator()(Extremes &into, const ROOT::RVec<T> &values) const {
    if ((long)values.size() > into.width) into.width = values.size();
    if (values.empty()) return;
    T low = values[0], high = values[0];
    for (T x : values) {
      if (x < low) low = x;
      if (x > high) high = x;
    }
    if (low < into.low) into.low = low;
    if (high > into.high) into.high = high;
  }
};

struct Merge {
  void operator()(std::vector<Extremes> &parts) const {
    for (size_t i = 1; i < parts.size(); ++i) parts[0].add(parts[i]);
  }
};

using Pending = std::map<std::string, ROOT::RDF::RResultPtr<Extremes>>;

template <class T>
bool book(ROOT::RDataFrame &frame, const std::string &name, const std::string &type, const char *word,
          Pending &pending) {
  if (type.find(word) == std::string::npos) return false;
  bool jagged = type.find("RVec") != std::string::npos;
  pending.emplace(name, jagged ? frame.Aggregate(Jagged<T>{}, Merge{}, name, Extremes{})
                               : frame.Aggregate(Scalar<T>{}, Merge{}, name, Extremes{}));
  return true;
}

Results frame(const std::vector<std::string> &files) {
  ROOT::RDataFrame data("Events", files);
  Pending pending;
  for (const std::string &name : data.GetColumnNames()) {
    std::string type = data.GetColumnType(name);
    if (!(book<float>(data, name, type, "Float_t", pending) || book<double>(data, name, type, "Double_t", pending) ||
          book<int>(data, name, type, "Int_t", pending) || book<unsigned char>(data, name, type, "UChar_t", pending) ||
          book<bool>(data, name, type, "Bool_t", pending) || book<Long64_t>(data, name, type, "Long64_t", pending)))
      fprintf(stderr, "no reader for %s (%s)\n", name.c_str(), type.c_str());
  }
  Results results;
  for (auto &one : pending) results[one.first] = *one.second;
  return results;
}

template <class T> void column(TBranch *branch, TBranch *counter, int largest, Long64_t entries, Extremes &into) {
  std::vector<T> values(largest + 8);
  int count = 1;
  T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
  bool any = false;
  branch->SetAddress(values.data());
  if (counter) counter->SetAddress(&count);
  for (Long64_t entry = 0; entry < entries; ++entry) {
    if (counter) {
      counter->GetEntry(entry);
      if (count > into.width) into.width = count;
    }
    if (count) branch->GetEntry(entry);
    for (int i = 0; i < count; ++i) {
      if (values[i] < low) low = values[i];
      if (values[i] > high) high = values[i];
      any = true;
    }
  }
  if (any) into.low = std::min(into.low, (double)low), into.high = std::max(into.high, (double)high);
  branch->ResetAddress();
  if (counter) counter->ResetAddress();
}

Results oneFile(const std::string &path) {
  Results results;
  std::unique_ptr<TFile> file(TFile::Open(path.c_str()));
  auto tree = file->Get<TTree>("Events");
  tree->SetCacheSize(0);
  Long64_t entries = tree->GetEntries();
  for (TObject *object : *tree->GetListOfBranches()) {
    auto branch = (TBranch *)object;
    auto leaf = (TLeaf *)branch->GetListOfLeaves()->At(0);
    TLeaf *count = leaf->GetLeafCount();
    TBranch *counter = count ? count->GetBranch() : nullptr;
    int largest = count ? std::max(1, (int)count->GetMaximum()) : 1;
    std::string type = leaf->GetTypeName();
    Extremes &into = results[branch->GetName()];
    if (type == "Float_t") column<float>(branch, counter, largest, entries, into);
    else if (type == "Double_t") column<double>(branch, counter, largest, entries, into);
    else if (type == "Int_t") column<int>(branch, counter, largest, entries, into);
    else if (type == "Long64_t") column<Long64_t>(branch, counter, largest, entries, into);
    else if (type == "UChar_t" || type == "Bool_t") column<unsigned char>(branch, counter, largest, entries, into);
    else fprintf(stderr, "no reader for %s (%s)\n", branch->GetName(), type.c_str());
  }
  return results;
}

Results loop(const std::vector<std::string> &files, int threads) {
  Results results;
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::vector<std::thread> pool;
  for (int thread = 0; thread < threads; ++thread)
    pool.emplace_back([&] {
      for (size_t index; (index = next++) < files.size();) {
        Results found = oneFile(files[index]);
        std::lock_guard<std::mutex> lock(mutex);
        for (auto &one : found) results[one.first].add(one.second);
      }
    });
  for (auto &thread : pool) thread.join();
  return results;
}

int main(int argc, char **argv) {
  std::string way = argv[1];
  int threads = atoi(argv[2]), repetitions = atoi(argv[3]);
  std::vector<std::string> files(argv + 4, argv + argc);
  ROOT::EnableThreadSafety();
  if (way == "frame" && threads > 1) ROOT::EnableImplicitMT(threads);
  Results results;
  for (int repetition = 0; repetition <= repetitions; ++repetition) {
    auto start = std::chrono::steady_clock::now();
    results = way == "frame" ? frame(files) : loop(files, threads);
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (repetition) printf("{\"seconds\": %.6f}\n", seconds), fflush(stdout);
  }
  printf("{\"results\": {");
  bool first = true;
  for (auto &one : results) {
    printf("%s\"%s\": [%.17g, %.17g, %ld]", first ? "" : ", ", one.first.c_str(), one.second.low, one.second.high,
           one.second.width);
    first = false;
  }
  printf("}}\n");
}
