#!/usr/bin/env python3
"""Writes files with ROOT in forms that other writers do not make, and what ROOT itself reads back from them.

    root_files.py DIRECTORY

For each file there is NAME.json: {"tree": name, "columns": {column: {"values": [...], "offsets": [[...], ...]}}}.
"""

import json
import os
import sys

import numpy as np
import ROOT

ROOT.gROOT.SetBatch(True)
directory = os.path.abspath(sys.argv[1])
os.makedirs(directory, exist_ok=True)


def write(name, tree, columns):
    def plain(x):
        return [v.item() if hasattr(v, "item") else v for v in x]

    out = {k: {"values": plain(v), "offsets": [plain(o) for o in offs]} for k, (v, *offs) in columns.items()}
    with open(f"{directory}/{name}.json", "w") as file:
        json.dump({"tree": tree, "columns": out}, file)


def offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


os.chdir(directory)
ROOT.gInterpreter.GenerateDictionary("vector<vector<short> >;map<int,double>;bitset<10>", "vector;map;bitset")
ROOT.gInterpreter.Declare(r"""
#include <array>
#include <bitset>
#include <map>
#include <optional>
#include <tuple>
#include <variant>
#include <vector>
#include "TFile.h"
#include "TFree.h"
#include "TTree.h"
#include "TLorentzVector.h"
#include "ROOT/TIOFeatures.hxx"
#include "ROOT/RNTupleModel.hxx"
#include "ROOT/RNTupleWriter.hxx"
#include "ROOT/RNTupleReader.hxx"
#include "ROOT/RField.hxx"

// A tree whose baskets do without entry offsets: they follow from the counter.
void writeWithoutOffsets(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  ROOT::TIOFeatures features;
  features.Set(ROOT::Experimental::EIOFeatures::kGenerateOffsetMap);
  tree.SetIOFeatures(features);
  int n;
  float x[16];
  double y[16][2];
  tree.Branch("n", &n, "n/I", 1000);
  tree.Branch("x", x, "x[n]/F", 1600);
  tree.Branch("y", y, "y[n][2]/D", 3200);
  for (int i = 0; i < entries; ++i) {
    n = (i * 7) % 13;
    for (int j = 0; j < n; ++j) {
      x[j] = i + 0.25f * j;
      y[j][0] = i * 100 + j;
      y[j][1] = -y[j][0];
    }
    tree.Fill();
  }
  tree.Write();
}

// Leaves of one branch of which one counts another, packed reals, standard collections.
void writeCollections(const char *path, int entries) {
  TFile file(path, "RECREATE");
  TTree tree("events", "");
  struct { int n; float x[8]; } leaves;
  std::bitset<10> bits;
  std::vector<std::vector<short>> nested;
  std::map<int, double> table;
  Float16_t half;
  Double32_t narrow;
  tree.Branch("leaves", &leaves, "n/I:x[n]/F");
  tree.Branch("bits", &bits);
  tree.Branch("nested", &nested);
  tree.Branch("table", &table, 32000, 0);
  tree.Branch("split", &table);
  tree.Branch("half", &half, "half/f");
  tree.Branch("halfRange", &half, "halfRange/f[-50,50,12]");
  tree.Branch("narrow", &narrow, "narrow/d[0,0,10]");
  for (int i = 0; i < entries; ++i) {
    leaves.n = i % 6;
    for (int j = 0; j < leaves.n; ++j) leaves.x[j] = 10 * i + j;
    bits = std::bitset<10>(i * 37);
    nested.assign(i % 4, {});
    for (size_t j = 0; j < nested.size(); ++j) nested[j].assign((i + j) % 3, short(i * 10 + j));
    table.clear();
    for (int j = 0; j < i % 3; ++j) table[j * 5] = i + 0.5 * j;
    half = 0.37f * (i - 40);
    narrow = 1.7 * i - 20;
    tree.Fill();
  }
  tree.Write();
}

// A tree with two friends: one beside it, one in another file.
void writeFriends(const char *path, const char *other, int entries) {
  double x;
  {
    TFile file(other, "RECREATE");
    TTree tree("far", "");
    tree.Branch("x", &x, "x/D");
    for (int i = 0; i < entries; ++i) x = 1000 + i, tree.Fill();
    tree.Write();
  }
  TFile file(path, "RECREATE");
  TTree near("near", ""), tree("events", "");
  near.Branch("x", &x, "x/D");
  tree.Branch("x", &x, "x/D");
  for (int i = 0; i < entries; ++i) {
    x = i, tree.Fill();
    x = -i, near.Fill();
  }
  tree.AddFriend(&near);
  tree.AddFriend("afar = far", "other.root");
  tree.AddFriend("lost", "missing.root");
  near.Write();
  tree.Write();
}

// A sparse file whose records lie beyond 4 GiB; one basket of 40 MB, in several compressed blocks.
void writeLarge(const char *path) {
  TFile file(path, "RECREATE");
  Long64_t far = 5000000000LL;
  auto free = (TFree *)file.GetListOfFree()->Last();
  free->SetFirst(far);
  free->SetLast(far + 1000000000LL);
  file.SetEND(far);
  TTree tree("events", "");
  int i;
  double y[1000];
  tree.Branch("i", &i, "i/I", 1000);
  tree.Branch("y", y, "y[1000]/D", 40000000);
  for (i = 0; i < 5000; ++i) {
    for (int j = 0; j < 1000; ++j) y[j] = i + j % 7;
    tree.Fill();
  }
  tree.Write();
}

template <class T> void dump(FILE *out, const char *name, ROOT::RNTupleReader &reader, bool &first) {
  auto view = reader.GetView<T>(name);
  fprintf(out, "%s\"%s\": {\"values\": [", first ? "" : ", ", name);
  first = false;
  for (ROOT::NTupleSize_t i = 0; i < reader.GetNEntries(); ++i) fprintf(out, "%s%.17g", i ? ", " : "", double(view(i)));
  fprintf(out, "], \"offsets\": []}");
}

// Every column encoding, several clusters and pages, a field that was added late.
void writeNTuple(const char *path, const char *json, int entries, int compression) {
  {
    auto model = ROOT::RNTupleModel::Create();
    auto flag = model->MakeField<bool>("flag");
    auto i8 = model->MakeField<std::int8_t>("i8");
    auto u8 = model->MakeField<std::uint8_t>("u8");
    auto i16 = model->MakeField<std::int16_t>("i16");
    auto u16 = model->MakeField<std::uint16_t>("u16");
    auto i32 = model->MakeField<std::int32_t>("i32");
    auto u32 = model->MakeField<std::uint32_t>("u32");
    auto i64 = model->MakeField<std::int64_t>("i64");
    auto u64 = model->MakeField<std::uint64_t>("u64");
    auto real = model->MakeField<float>("real");
    auto wide = model->MakeField<double>("wide");
    auto add = [&](std::unique_ptr<ROOT::RField<float>> field) {
      std::string name = field->GetFieldName();
      model->AddField(std::move(field));
      return model->GetDefaultEntry().GetPtr<float>(name);
    };
    auto halfField = std::make_unique<ROOT::RField<float>>("half");
    halfField->SetHalfPrecision();
    auto half = add(std::move(halfField));
    auto truncField = std::make_unique<ROOT::RField<float>>("trunc17");
    truncField->SetTruncated(17);
    auto trunc = add(std::move(truncField));
    auto trunc2Field = std::make_unique<ROOT::RField<float>>("trunc31");
    trunc2Field->SetTruncated(31);
    auto trunc2 = add(std::move(trunc2Field));
    auto quantField = std::make_unique<ROOT::RField<float>>("quant12");
    quantField->SetQuantized(-3., 3., 12);
    auto quant = add(std::move(quantField));
    auto quant2Field = std::make_unique<ROOT::RField<float>>("quant31");
    quant2Field->SetQuantized(-3., 3., 31);
    auto quant2 = add(std::move(quant2Field));
    auto narrowField = ROOT::RFieldBase::Create("narrow", "Double32_t").Unwrap();
    model->AddField(std::move(narrowField));
    auto narrow = model->GetDefaultEntry().GetPtr<double>("narrow");
    auto values = model->MakeField<std::vector<std::vector<float>>>("nested");
    auto bits = model->MakeField<std::bitset<70>>("bits");
    auto matrix = model->MakeField<std::array<std::array<int, 3>, 2>>("matrix");
    auto choice = model->MakeField<std::variant<int, double>>("choice");
    auto maybe = model->MakeField<std::optional<float>>("maybe");
    auto pairs = model->MakeField<std::vector<std::pair<int, float>>>("pairs");
    ROOT::RNTupleWriteOptions options;
    options.SetCompression(compression);
    options.SetMaxUnzippedPageSize(1024);
    options.SetInitialUnzippedPageSize(64);
    options.SetEnablePageChecksums(true);
    auto writer = ROOT::RNTupleWriter::Recreate(std::move(model), "events", path, options);
    std::shared_ptr<float> late;
    std::shared_ptr<std::vector<int>> lateList;
    for (int i = 0; i < entries; ++i) {
      if (i == entries / 3) {
        auto updater = writer->CreateModelUpdater();
        updater->BeginUpdate();
        late = updater->MakeField<float>("late");
        lateList = updater->MakeField<std::vector<int>>("lateList");
        updater->CommitUpdate();
      }
      *flag = i % 3 == 0;
      *i8 = i % 256 - 128, *u8 = i * 3, *i16 = i * 31 - 500, *u16 = i * 77;
      *i32 = (i - 100) * 1000003, *u32 = i * 4000001u;
      *i64 = (i - 50) * 10000000000007LL, *u64 = i * 1000000000000003ULL;
      *real = std::sin(i * 0.1) * 2.5f, *wide = std::cos(i * 0.37) * 1e10;
      *half = *real, *trunc = *real, *trunc2 = *real, *quant = *real, *quant2 = *real, *narrow = *real;
      values->assign(i % 5, {});
      for (size_t j = 0; j < values->size(); ++j) (*values)[j].assign((i + j) % 4, i + 0.5f * j);
      for (int j = 0; j < 70; ++j) (*bits)[j] = (i * 13 + j * j) % 5 == 0;
      for (int j = 0; j < 6; ++j) (*matrix)[j / 3][j % 3] = i * 10 + j;
      if (i % 3) *choice = i; else *choice = i * 0.5;
      if (i % 4) *maybe = i * 0.25f; else maybe->reset();
      pairs->clear();
      for (int j = 0; j < i % 3; ++j) pairs->push_back({i * 2 + j, j * 0.125f});
      if (late) *late = i * 2.f;
      if (lateList) lateList->assign(i % 3, i);
      writer->Fill();
      if (i % 97 == 96) writer->CommitCluster();
      if (i % 300 == 299) writer->CommitCluster(true);
    }
  }
  auto reader = ROOT::RNTupleReader::Open("events", path);
  FILE *out = fopen(json, "w");
  bool first = true;
  fprintf(out, "{\"tree\": \"events\", \"columns\": {");
  dump<bool>(out, "flag", *reader, first);
  dump<std::int8_t>(out, "i8", *reader, first);
  dump<std::uint8_t>(out, "u8", *reader, first);
  dump<std::int16_t>(out, "i16", *reader, first);
  dump<std::uint16_t>(out, "u16", *reader, first);
  dump<std::int32_t>(out, "i32", *reader, first);
  dump<std::uint32_t>(out, "u32", *reader, first);
  dump<std::int64_t>(out, "i64", *reader, first);
  dump<std::uint64_t>(out, "u64", *reader, first);
  for (auto name : {"real", "half", "trunc17", "trunc31", "quant12", "quant31", "late"})
    dump<float>(out, name, *reader, first);
  dump<double>(out, "wide", *reader, first);
  dump<double>(out, "narrow", *reader, first);
  fprintf(out, "}}\n");
  fclose(out);
}
""")

N = 500
ROOT.writeWithoutOffsets(f"{directory}/nooffsets.root", N)
counts = np.array([(i * 7) % 13 for i in range(N)])
x = np.concatenate([i + 0.25 * np.arange(c) for i, c in enumerate(counts)]).astype(np.float32)
y = np.concatenate(
    [np.stack([i * 100 + np.arange(c), -(i * 100 + np.arange(c))], 1).reshape(-1) for i, c in enumerate(counts)]
).astype(float)
write("nooffsets", "events", {"n": (counts,), "x": (x, offsets(counts)), "y": (y, offsets(counts))})

ROOT.writeLarge(f"{directory}/large.root")
ROOT.writeFriends(f"{directory}/friends.root", f"{directory}/other.root", N)

N = 120
ROOT.writeCollections(f"{directory}/collections.root", N)
leaf = np.array([i % 6 for i in range(N)])
nested = [[[i * 10 + j] * ((i + j) % 3) for j in range(i % 4)] for i in range(N)]
table = [[(j * 5, i + 0.5 * j) for j in range(i % 3)] for i in range(N)]
file = ROOT.TFile.Open(f"{directory}/collections.root")
tree = file.Get("events")


def drawn(name):
    n = tree.Draw(name, "", "goff")
    return [tree.GetVal(0)[i] for i in range(n)]


write(
    "collections",
    "events",
    {
        "leaves.n": (leaf,),
        "leaves.x": (np.concatenate([10.0 * i + np.arange(c) for i, c in enumerate(leaf)]), offsets(leaf)),
        "bits": ([float(i * 37 >> b & 1) for i in range(N) for b in range(10)], offsets([10] * N)),
        "nested": (
            [v for e in nested for r in e for v in r],
            offsets([len(e) for e in nested]),
            offsets([len(r) for e in nested for r in e]),
        ),
        "table.0": ([k for e in table for k, _ in e], offsets([len(e) for e in table])),
        "table.1": ([v for e in table for _, v in e], offsets([len(e) for e in table])),
        "split/split.first": ([k for e in table for k, _ in e], offsets([len(e) for e in table])),
        "split/split.second": ([v for e in table for _, v in e], offsets([len(e) for e in table])),
        "half": (drawn("half"),),
        "halfRange": (drawn("halfRange"),),
        "narrow": (drawn("narrow"),),
    },
)

N = 1000
for name, compression in (("ntuple", 0), ("ntuple_zstd", 505), ("ntuple_xz", 207)):
    ROOT.writeNTuple(f"{directory}/{name}.root", f"{directory}/{name}.json", N, compression)
    with open(f"{directory}/{name}.json") as file:
        expected = json.load(file)
    nested = [[[i + 0.5 * j] * ((i + j) % 4) for j in range(i % 5)] for i in range(N)]
    lists = [[i] * (i % 3) if i >= N // 3 else [] for i in range(N)]
    whole = np.array([1 if i % 3 else 0 for i in range(N)])
    more = {
        "nested": (
            [v for e in nested for r in e for v in r],
            offsets([len(e) for e in nested]),
            offsets([len(r) for e in nested for r in e]),
        ),
        "bits": ([float((i * 13 + j * j) % 5 == 0) for i in range(N) for j in range(70)],),
        "matrix": ([i * 10 + j for i in range(N) for j in range(6)],),
        "choice.0": ([i for i in range(N) if i % 3], offsets(whole)),
        "choice.1": ([i * 0.5 for i in range(N) if i % 3 == 0], offsets(1 - whole)),
        "maybe": ([i * 0.25 for i in range(N) if i % 4], offsets([1 if i % 4 else 0 for i in range(N)])),
        "pairs.0": ([i * 2 + j for i in range(N) for j in range(i % 3)], offsets([i % 3 for i in range(N)])),
        "pairs.1": ([j * 0.125 for i in range(N) for j in range(i % 3)], offsets([i % 3 for i in range(N)])),
        "lateList": ([v for e in lists for v in e], offsets([len(e) for e in lists])),
    }
    for key, (values, *offs) in more.items():
        expected["columns"][key] = {"values": list(values), "offsets": [o.tolist() for o in offs]}
    with open(f"{directory}/{name}.json", "w") as file:
        json.dump(expected, file)
