// SPDX-License-Identifier: Apache-2.0

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.Id;
import jakarta.persistence.JoinColumn;
import jakarta.persistence.LockModeType;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.OneToMany;
import jakarta.persistence.Table;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.function.Consumer;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;

/** Hibernate over pgjdbc: entities, HQL, lazy loading; every unit of work is a block. */
final class HibernateOrm {
  private HibernateOrm() {}

  @Entity(name = "Owner")
  @Table(name = "owners")
  static class Owner {
    @Id int id;
    String name;

    @OneToMany(mappedBy = "owner")
    List<Item> items;

    /** What stands for an owner that is not loaded yet answers methods alone. */
    String shown() {
      return name + " " + items.size();
    }
  }

  @Entity(name = "Item")
  @Table(name = "items")
  static class Item {
    @Id int id;
    String name;
    BigDecimal price;
    OffsetDateTime added;

    @ManyToOne(fetch = FetchType.LAZY)
    @JoinColumn(name = "owner_id")
    Owner owner;

    @Override
    public String toString() {
      return id + " " + name + " " + price + " " + added.withOffsetSameInstant(ZoneOffset.UTC);
    }
  }

  @Entity(name = "Written")
  @Table(name = "written")
  static class Written {
    @Id int id;

    @Column String name;

    Written() {}

    Written(int id, String name) {
      this.id = id;
      this.name = name;
    }

    @Override
    public String toString() {
      return id + " " + name;
    }
  }

  static SessionFactory factory(String url) {
    return new Configuration()
        .setProperty("hibernate.connection.url", Contract.jdbc(url))
        .setProperty("hibernate.connection.pool_size", "1")
        .setProperty("hibernate.jdbc.batch_size", "20")
        .addAnnotatedClass(Owner.class)
        .addAnnotatedClass(Item.class)
        .addAnnotatedClass(Written.class)
        .buildSessionFactory();
  }

  static void block(SessionFactory factory, Consumer<Session> work) {
    factory.inTransaction(work::accept);
  }

  static void find(String url, List<String> seen) {
    try (SessionFactory factory = factory(url)) {
      for (int i = 1; i <= 8; i++) {
        int id = i;
        block(factory, session -> seen.add("" + session.find(Item.class, id)));
      }
    }
  }

  static void reads(String url, List<String> seen) {
    try (SessionFactory factory = factory(url)) {
      block(factory, session -> seen.add(session.find(Item.class, 1).owner.shown()));
      block(factory, session -> {
        session.createSelectionQuery("from Item i join fetch i.owner where i.id < :n order by i.id", Item.class)
            .setParameter("n", 4).getResultList().forEach(item -> seen.add(item + item.owner.shown()));
        session.createSelectionQuery("from Owner o where o.id in (1, 2) order by o.id", Owner.class)
            .getResultList().forEach(owner -> seen.add(owner.shown()));
      });
      block(factory, session -> session.createSelectionQuery(
          "select o.name, count(*), sum(i.price) from Item i join i.owner o group by o.name order by o.name",
          Object[].class).getResultList().forEach(row -> seen.add(row[0] + " " + row[1] + " " + row[2])));
      block(factory, session -> seen.add("" + session.createNativeQuery(
          "SELECT name FROM items WHERE id = ?", String.class).setParameter(1, 9).getSingleResult()));
    }
  }

  /** A page is a LIMIT in the text; a limit of rows at the portal beside it. */
  static void pages(String url, List<String> seen) {
    try (SessionFactory factory = factory(url)) {
      block(factory, session -> seen.add("" + session.createSelectionQuery("from Item i order by i.id", Item.class)
          .setFirstResult(10).setMaxResults(5).getResultList()));
      block(factory, session -> seen.add("" + session.createSelectionQuery("from Item i order by i.id", Item.class)
          .setFetchSize(7).getResultStream().limit(20).toList()));
    }
  }

  static void transactions(String url, List<String> seen) {
    try (SessionFactory factory = factory(url)) {
      block(factory, session -> session.createMutationQuery("delete from Written").executeUpdate());
      block(factory, session -> {
        for (int i = 0; i < 50; i++) {
          session.persist(new Written(i, "number " + i));
        }
      });
      block(factory, session -> {
        Written one = session.find(Written.class, 1, LockModeType.PESSIMISTIC_WRITE);
        one.name = "changed";
        session.remove(session.find(Written.class, 2));
      });
      try {
        block(factory, session -> session.persist(new Written(1, "again")));
      } catch (RuntimeException error) {
        seen.add("" + error.getCause());
      }
      block(factory, session -> seen.add("" + session.createSelectionQuery(
          "from Written w order by w.id", Written.class).getResultList()));
    }
  }

  public static void main(String[] arguments) {
    java.util.logging.LogManager.getLogManager().reset();
    Contract contract = new Contract(arguments, "Hibernate", org.hibernate.Version.getVersionString());
    contract.chapter("find", 7, 6, HibernateOrm::find);
    contract.chapter("reads", 8, 2, HibernateOrm::reads);
    contract.chapter("pages", HibernateOrm::pages);
    contract.chapter("transactions", HibernateOrm::transactions);
    contract.finish();
  }
}
