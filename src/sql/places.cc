// SPDX-License-Identifier: Apache-2.0
#include "sql/places.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "sql/rows_behind.h"
#include "sql/safety.h"
#include "sql/tree.h"

namespace pgcache::sql {
namespace {

using ConditionsPtr = std::shared_ptr<const Conditions>;

// See Place.
struct Known {
  ConditionsPtr own;
  ConditionsPtr joint;
};

constexpr int kFactsDepthMax = 8;
constexpr std::size_t kConditionMax = 5'000;  // expressions that are put into one condition

// Of a block, besides FROM.
enum class Clauses { kAll, kWhere, kBeyondRows };

class Walker {
 public:
  Walker(const ResolvedQuery& query, std::deque<Expr>& kept, std::vector<Place>& places)
      : query_(query), kept_(kept), places_(places), behind_(query, kept) {}

  void run() {
    visit_block(query_.top, {});
    for (const std::uint32_t block : query_.also) visit_block(block, {});
  }

  const std::set<std::uint32_t>& rows_behind() const { return behind_.tables(); }

 private:
  // `context` holds whenever the block is asked for rows; it may be about columns of `use`, which
  // stands for the block.
  void visit_use(std::uint32_t use, const Conjuncts& context) {
    const std::uint32_t number = query_.uses[use].block;
    const Block& block = query_.blocks[number];
    if (!block.branches.empty()) return visit_branches(block, context, use);
    Conjuncts inside;
    for (const Expr* conjunct : context) {
      if (!mentions(*conjunct, {use})) {
        inside.push_back(conjunct);
      } else if (can_enter(block, use, *conjunct)) {
        inside.push_back(entered(block, use, *conjunct));
      }
    }
    if (!block.unknown_outputs) behind_.add_of_window(block, use, context, inside);
    visit_block(number, std::move(inside));
  }

  // A condition on a column of a set operation is one on that of each branch.
  void visit_branches(const Block& block, const Conjuncts& context,
                      std::optional<std::uint32_t> use) {
    const auto is_on_columns = [&](const Expr* conjunct) {
      return use && mentions(*conjunct, {*use});
    };
    Conjuncts inside;
    if (block.some) inside.push_back(&*block.some);
    for (const Expr* conjunct : context) {
      if (!is_on_columns(conjunct) || can_enter_branches(block)) inside.push_back(conjunct);
    }
    for (const std::uint32_t branch : block.branches) {
      Conjuncts of_branch = inside;
      for (const Expr*& conjunct : of_branch) {
        if (is_on_columns(conjunct)) conjunct = moved(*conjunct, *use, branch);
      }
      add_facts_of_others(block, branch, of_branch);
      add_rows_of_others(block, branch, of_branch);
      visit_use(branch, of_branch);
    }
    visit_sublinks_of(block, inside);
  }

  // What a branch of INTERSECT, or the right side of EXCEPT, yields counts where the others, or the
  // left side, yield an equal row: what is known of theirs holds for it. (Conditions that can be
  // evaluated do not tell values apart that are equal.)
  void add_facts_of_others(const Block& block, std::uint32_t branch, Conjuncts& out) {
    if (block.kind != Block::Kind::kIntersect && block.kind != Block::Kind::kExcept) return;
    const bool takes_away = block.kind == Block::Kind::kExcept;
    for (const std::uint32_t other : block.branches) {
      if (other == branch || (takes_away && other != block.branches.front())) continue;
      for (const Expr& fact : facts(other)) {
        if (can_cross(block, fact, other, branch)) out.push_back(moved(fact, other, branch));
      }
    }
  }

  // An equal row of theirs is there.
  void add_rows_of_others(const Block& block, std::uint32_t branch, Conjuncts& out) {
    if (block.kind != Block::Kind::kIntersect && block.kind != Block::Kind::kExcept) return;
    const bool takes_away = block.kind == Block::Kind::kExcept;
    for (const std::uint32_t other : block.branches) {
      if (other == branch || (takes_away && other != block.branches.front())) continue;
      for (std::uint32_t i = 0; i < block.outputs.size(); ++i) {
        if (!is_compared_by_value(block, i, other, branch) &&
            !are_numbers(block, i, other, branch)) {
          continue;
        }
        behind_.add_same(branch, other, i, block.outputs[i].type, out);
      }
      behind_.add_of_block(other, out);
    }
  }

  // Whether the columns that it is about are compared with those of the branch value by value.
  bool can_cross(const Block& block, const Expr& fact, std::uint32_t from, std::uint32_t to) const {
    bool can = true;
    each_expr(fact, [&](const Expr& part) {
      if (part.kind != Expr::Kind::kColumn) return;
      can = can && part.use == from && is_compared_by_value(block, part.column, from, to);
    });
    return can;
  }

  bool is_compared_by_value(const Block& block, std::uint32_t column, std::uint32_t from,
                            std::uint32_t to) const {
    const Block& source = query_.blocks[query_.uses[from].block];
    const Block& target = query_.blocks[query_.uses[to].block];
    for (const Block* side : {&block, &source, &target}) {
      if (side->unknown_outputs || column >= side->outputs.size()) return false;
      const Expr& output = side->outputs[column];
      if (output.type != block.outputs[column].type || !output.collation.deterministic)
        return false;
    }
    // Not char(n), of which equal ones may be padded to different lengths.
    const pg::Oid type = block.outputs[column].type;
    return is_builtin(type) && type != pg::type::kBpchar;
  }

  // Of whatever types.
  bool are_numbers(const Block& block, std::uint32_t column, std::uint32_t from,
                   std::uint32_t to) const {
    const Block& source = query_.blocks[query_.uses[from].block];
    const Block& target = query_.blocks[query_.uses[to].block];
    const auto is_number = [column](const Block* side) {
      return !side->unknown_outputs && column < side->outputs.size() &&
             pg::type::is_number(side->outputs[column].type);
    };
    return is_number(&block) && is_number(&source) && is_number(&target);
  }

  static bool can_enter_branches(const Block& block) {
    return !block.limited && !block.unknown_outputs &&
           std::all_of(block.outputs.begin(), block.outputs.end(),
                       [](const Expr& output) { return output.collation.deterministic; });
  }

  static bool can_enter(const Block& block, std::uint32_t use, const Expr& conjunct) {
    bool all = !has_opaque(conjunct);
    std::size_t size = 0;
    each_expr(conjunct, [&](const Expr& part) {
      if (part.kind == Expr::Kind::kColumn && part.use == use) {
        all = all && passes_conditions(block, part.column);
        if (all) size += size_of(block.outputs[part.column]);
      }
    });
    return all && !block.unknown_outputs && size < kConditionMax;
  }

  const Expr* keep(Expr expr) { return &kept_.emplace_back(std::move(expr)); }

  const Expr* entered(const Block& block, std::uint32_t use, const Expr& conjunct) {
    Expr copy = conjunct;
    substitute(copy, use, [&](const Expr& column) { return block.outputs[column.column]; });
    return behind_.note_copy(&conjunct, keep(std::move(copy)));
  }

  const Expr* moved(const Expr& conjunct, std::uint32_t from, std::uint32_t to) {
    Expr copy = conjunct;
    substitute(copy, from, [&](const Expr& column) {
      Expr other = column;
      other.use = to;
      return other;
    });
    return behind_.note_copy(&conjunct, keep(std::move(copy)));
  }

  void visit_block(std::uint32_t number, Conjuncts context) {
    const Block& block = query_.blocks[number];
    if (!block.branches.empty()) return visit_branches(block, context, std::nullopt);
    const bool lonely = gives_row_of_none(block);
    if (lonely) visit_sublinks_of(block, context, Clauses::kBeyondRows);
    if (block.some) context.push_back(&*block.some);
    if (block.where) {
      Conjuncts parts;
      flatten(*block.where, parts);
      context.insert(context.end(), parts.begin(), parts.end());
      for (const Expr* part : parts) behind_.add_of_condition(*part, context);
    }
    if (block.having) add_having(block, context);
    visit_inner(block.from, std::move(context), &block, lonely ? Clauses::kWhere : Clauses::kAll);
  }

  // Conditions on groups that are conditions on each row of theirs.
  void add_having(const Block& block, Conjuncts& context) const {
    if (block.grouping_sets) return;
    Conjuncts parts;
    flatten(*block.having, parts);
    for (const Expr* part : parts) {
      bool on_keys = !has_opaque(*part);
      each_expr(*part, [&](const Expr& e) {
        if (e.kind != Expr::Kind::kColumn) return;
        on_keys =
            on_keys && std::any_of(block.keys.begin(), block.keys.end(), [&](const Expr& key) {
              return key.collation.deterministic && same_expr(key, e);
            });
      });
      if (on_keys) context.push_back(part);
    }
  }

  // What is known of each row that a block yields, in terms of the use that stands for it.
  std::vector<Expr> facts(std::uint32_t use, int depth = 0) {
    const Block& block = query_.blocks[query_.uses[use].block];
    if (block.unknown_outputs || depth > kFactsDepthMax) return {};
    if (block.kind == Block::Kind::kSelect) return facts_of_select(block, use, depth);
    if (block.branches.empty()) return {};
    std::vector<std::vector<Expr>> of_branches;
    for (const std::uint32_t branch : block.branches) {
      std::vector<Expr>& list = of_branches.emplace_back(facts(branch, depth + 1));
      for (Expr& fact : list) fact = *moved(fact, branch, use);
    }
    if (block.kind == Block::Kind::kExcept) return of_branches[0];
    if (block.kind == Block::Kind::kIntersect) {
      for (Expr& fact : of_branches[1]) of_branches[0].push_back(std::move(fact));
      return of_branches[0];
    }
    std::vector<Expr> choices;
    for (std::vector<Expr>& list : of_branches) {
      if (list.empty()) return {};
      choices.push_back(make_expr(Expr::Kind::kAnd, std::move(list)));
    }
    return {make_expr(Expr::Kind::kOr, std::move(choices))};
  }

  std::vector<Expr> facts_of_select(const Block& block, std::uint32_t use, int depth) {
    Conjuncts known;
    if (block.where) flatten(*block.where, known);
    for (const FromNode& node : block.from) gather(node, known, depth + 1);
    if (gives_row_of_none(block)) return {};
    std::vector<Expr> out;
    for (const Expr* conjunct : known) {
      if (has_opaque(*conjunct)) continue;
      Expr outside = *conjunct;
      if (rename(outside, block, use)) out.push_back(std::move(outside));
    }
    return out;
  }

  static bool rename(Expr& expr, const Block& block, std::uint32_t use) {
    if (expr.kind == Expr::Kind::kColumn) {
      for (std::uint32_t i = 0; i < block.outputs.size(); ++i) {
        if (!same_expr(block.outputs[i], expr)) continue;
        expr.use = use;
        expr.column = i;
        return true;
      }
      return false;
    }
    return std::all_of(expr.children.begin(), expr.children.end(),
                       [&](Expr& child) { return rename(child, block, use); });
  }

  // ---------------------------------------------------------------- FROM

  // What holds for each row of the node, by the inner joins that it is made of.
  void gather(const FromNode& node, Conjuncts& context, int depth = 0) {
    if (node.kind == FromNode::Kind::kBlock) {
      for (Expr& fact : facts(node.use, depth)) context.push_back(keep(std::move(fact)));
    }
    if (node.kind != FromNode::Kind::kJoin) return;
    if (node.join == JoinKind::kInner) {
      if (node.on) flatten(*node.on, context);
      for (const FromNode& child : node.children) gather(child, context, depth);
    } else if (node.join != JoinKind::kFull) {
      gather(node.children[node.join == JoinKind::kLeft ? 0 : 1], context, depth);
    }
  }

  // The conditions point into the nodes, which are the query's own.
  void visit_inner(std::span<const FromNode> nodes, Conjuncts context, const Block* whole = nullptr,
                   Clauses clauses = Clauses::kAll) {
    for (const FromNode& node : nodes) gather(node, context);
    for (const FromNode& node : nodes) behind_.add_of_node(node, context);
    const Known known = known_by(std::move(context));
    for (const FromNode& node : nodes) visit(node, known);
    if (whole != nullptr) visit_sublinks_of(*whole, known.joint->conjuncts(), clauses);
  }

  Known known_by(Conjuncts context) {
    Conjuncts own = context;
    std::erase_if(own, [this](const Expr* conjunct) { return behind_.contains(conjunct); });
    Known known;
    const bool same = own.size() == context.size();
    known.own = std::make_shared<const Conditions>(query_, std::move(own));
    known.joint = same ? known.own : std::make_shared<const Conditions>(query_, std::move(context));
    return known;
  }

  void visit(const FromNode& node, const Known& known) {
    const Conjuncts& context = known.joint->conjuncts();
    switch (node.kind) {
      case FromNode::Kind::kTable:
        places_.push_back({node.use, known.own, known.joint});
        return;
      case FromNode::Kind::kBlock:
        return visit_use(node.use, context);
      case FromNode::Kind::kOther:
        for (const Expr& expr : node.exprs) visit_sublinks(expr, context);
        return;
      case FromNode::Kind::kJoin:
        break;
    }
    if (node.join == JoinKind::kInner) {
      for (const FromNode& child : node.children) visit(child, known);
      if (node.on) visit_sublinks(*node.on, context);
      return;
    }
    const FromNode& left = node.children[0];
    const FromNode& right = node.children[1];
    if (node.join == JoinKind::kFull) {
      const Conjuncts either = without({&left, &right}, context);
      for (const FromNode* side : {&left, &right}) {
        Conjuncts inside = either;
        add_merged(node, *side, context, inside);
        visit_inner({side, 1}, std::move(inside));
      }
      if (node.on) visit_sublinks(*node.on, either);
      return;
    }
    const FromNode& kept = node.join == JoinKind::kLeft ? left : right;
    const FromNode& extended = node.join == JoinKind::kLeft ? right : left;
    visit(kept, known);
    Conjuncts inside = without({&extended}, context);
    gather(kept, inside);
    if (node.on) flatten(*node.on, inside);
    visit_inner({&extended, 1}, inside);
    if (node.on) visit_sublinks(*node.on, without({&extended}, context));
  }

  // Comparisons of COALESCE(l, r), where the FULL JOIN has l = r: what a row of one side makes of
  // it is its own column, be it alone or with others.
  void add_merged(const FromNode& join, const FromNode& side, const Conjuncts& context,
                  Conjuncts& out) {
    Conjuncts links;
    if (join.on) flatten(*join.on, links);
    std::set<std::uint32_t> uses;
    collect_uses(side, uses);
    for (const Expr* conjunct : context) {
      if (conjunct->kind != Expr::Kind::kCompare && conjunct->kind != Expr::Kind::kIn) continue;
      const Expr& merged = conjunct->children[0];
      if (merged.kind != Expr::Kind::kCoalesce || merged.children.size() != 2 ||
          has_columns(conjunct->children[1])) {
        continue;
      }
      const Expr& l = merged.children[0];
      const Expr& r = merged.children[1];
      if (l.kind != Expr::Kind::kColumn || r.kind != Expr::Kind::kColumn) continue;
      const bool linked = std::any_of(links.begin(), links.end(), [&](const Expr* link) {
        return equates(*link, key_of(l), key_of(r));
      });
      if (!linked || uses.contains(l.use) == uses.contains(r.use)) continue;
      Expr copy = *conjunct;
      copy.children[0] = uses.contains(l.use) ? l : r;
      out.push_back(behind_.note_copy(conjunct, keep(std::move(copy))));
    }
  }

  static Conjuncts without(const std::vector<const FromNode*>& sides, const Conjuncts& context) {
    std::set<std::uint32_t> uses;
    for (const FromNode* side : sides) collect_uses(*side, uses);
    Conjuncts out;
    for (const Expr* conjunct : context) {
      if (!mentions(*conjunct, uses)) out.push_back(conjunct);
    }
    return out;
  }

  // ---------------------------------------------------------------- subqueries in expressions

  // Those of FROM aside.
  void visit_sublinks_of(const Block& block, const Conjuncts& context,
                         Clauses clauses = Clauses::kAll) {
    std::set<std::uint32_t> fulfilled;
    if (block.where && clauses != Clauses::kBeyondRows) {
      Conjuncts parts;
      flatten(*block.where, parts);
      for (const Expr* part : parts) {
        if (part->kind == Expr::Kind::kSublink) fulfilled.insert(part->use);
      }
    }
    std::set<std::uint32_t> visited;
    const auto visit_expr = [&](const Expr& expr) {
      Conjuncts sublinks;
      collect_sublinks(expr, sublinks);
      for (const Expr* sublink : sublinks) {
        if (visited.insert(sublink->use).second) {
          visit_sublink(*sublink, context, fulfilled.contains(sublink->use));
        }
      }
    };
    if (block.where && clauses != Clauses::kBeyondRows) visit_expr(*block.where);
    if (clauses != Clauses::kWhere) each_expr_beyond_rows(block, visit_expr);
  }

  void visit_sublinks(const Expr& expr, const Conjuncts& context) {
    Conjuncts sublinks;
    collect_sublinks(expr, sublinks);
    for (const Expr* sublink : sublinks) visit_sublink(*sublink, context, false);
  }

  // x op ANY (...) is what it is by the rows for which the comparison is not false, or if it must
  // be true, by those for which it is; x op ALL (...) by those for which it is not true.
  void visit_sublink(const Expr& sublink, Conjuncts context, bool fulfilled) {
    if (sublink.link == LinkKind::kAny) {
      for (const Expr& comparison : sublink.children) {
        if (fulfilled) {
          context.push_back(keep(comparison));
        } else {
          context.push_back(keep(make_not(make_expr(Expr::Kind::kIsFalse, {comparison}))));
        }
      }
    }
    if (sublink.link == LinkKind::kAll && sublink.children.size() == 1) {
      context.push_back(keep(make_not(make_expr(Expr::Kind::kIsTrue, {sublink.children[0]}))));
    }
    visit_use(sublink.use, context);
  }

  const ResolvedQuery& query_;
  std::deque<Expr>& kept_;
  std::vector<Place>& places_;
  RowsBehind behind_;
};

}  // namespace

Places::Places(const ResolvedQuery& query) {
  Walker walker(query, kept_, list_);
  walker.run();
  rows_behind_ = walker.rows_behind();
}

}  // namespace pgcache::sql
